//! Records of the other object types: tickets, products, quotes, activities, prescriptions. They have their own random
//! generator, so that companies, contacts and deals are the same with and without them.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use crate::generate::{GeneratorOptions, first_day, instant};
use crate::network::{Network, iso};
use crate::object_types::ObjectType;

/// Products of the clinic: name, SKU, price.
const PRODUCTS: &[(&str, &str, &str)] = &[
    ("Óleo CBD 20 mg/ml", "CBD-20", "349.90"),
    ("Óleo CBD 50 mg/ml", "CBD-50", "689.00"),
    ("Creme CBD", "CBD-C", "129.5"),
];

/// The types whose records belong to a patient.
const PATIENT_TYPES: [ObjectType; 7] = [
    ObjectType::Ticket,
    ObjectType::Call,
    ObjectType::Email,
    ObjectType::Meeting,
    ObjectType::Note,
    ObjectType::Task,
    ObjectType::Prescription,
];

impl Network {
    /// Adds records of every other type. Products stand alone; the others belong to a patient or a consultation.
    pub(crate) fn add_other_objects(&mut self, options: &GeneratorOptions) {
        let mut rng = ChaCha12Rng::seed_from_u64(options.seed ^ 0x0BE5_1DE5);
        let start = instant(first_day(options), 8, &mut rng);
        let products: Vec<_> = PRODUCTS
            .iter()
            .map(|(name, sku, price)| {
                self.add(ObjectType::Product, start, |property| match property {
                    "name" => Some((*name).to_owned()),
                    "hs_sku" => Some((*sku).to_owned()),
                    "price" => Some((*price).to_owned()),
                    _ => None,
                })
            })
            .collect();
        let contacts: Vec<u64> = self.records[&ObjectType::Contact].keys().copied().collect();
        let deals: Vec<u64> = self.records[&ObjectType::Deal].keys().copied().collect();
        for contact in contacts {
            for object_type in PATIENT_TYPES {
                if !rng.random_bool(0.3) {
                    continue;
                }
                let created = start + rng.random_range(0..900) * 86_400_000;
                let number = rng.random_range(1..10_000);
                let id = self.add(object_type, created, |property| value(property, number, created));
                self.associate_as(object_type, id, ObjectType::Contact, contact, false, None);
            }
        }
        for deal in deals {
            let created = start + rng.random_range(0..900) * 86_400_000;
            for _ in 0..rng.random_range(0..3) {
                let product = products[rng.random_range(0..products.len())];
                let number = rng.random_range(1..5);
                let id = self.add(ObjectType::LineItem, created, |property| match property {
                    "hs_product_id" => Some(product.to_string()),
                    name => value(name, number, created),
                });
                self.associate_as(ObjectType::LineItem, id, ObjectType::Deal, deal, false, None);
            }
            if rng.random_bool(0.1) {
                let number = rng.random_range(1..10_000);
                let id = self.add(ObjectType::Quote, created, |property| value(property, number, created));
                self.associate_as(ObjectType::Quote, id, ObjectType::Deal, deal, false, None);
            }
        }
    }
}

/// The value of a property, from the record's number and creation time.
fn value(property: &str, number: i64, created: i64) -> Option<String> {
    match property {
        "quantity" | "dose_mg" => Some(number.to_string()),
        "price" => Some(format!("{number}.90")),
        "hs_call_duration" => Some((number * 1000).to_string()),
        "hs_timestamp" | "hs_expiration_date" => Some(iso(created + 86_400_000)),
        "validade" => Some(iso(created)[..10].to_owned()),
        "digital" => Some((number % 2 == 0).to_string()),
        "hs_pipeline" => Some("0".to_owned()),
        "hs_pipeline_stage" => Some((number % 4 + 1).to_string()),
        "hs_status" | "hs_task_status" => Some("DRAFT".to_owned()),
        "content" => None,
        _ => Some(format!("Atendimento nº {number} – ção 🌿")),
    }
}
