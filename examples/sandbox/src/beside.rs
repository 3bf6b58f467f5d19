//! Records beside the clinic's own: tickets, products, quotes, activities, prescriptions. From a seed of their own, so
//! that the clinic is the same with them as without.

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};

use crate::generate::{Options, first_day, instant};
use crate::kinds::Kind;
use crate::network::{Network, iso};

/// Products of the clinic: name, SKU, price.
const PRODUCTS: &[(&str, &str, &str)] = &[
    ("Óleo CBD 20 mg/ml", "CBD-20", "349.90"),
    ("Óleo CBD 50 mg/ml", "CBD-50", "689.00"),
    ("Creme CBD", "CBD-C", "129.5"),
];

impl Network {
    /// Adds records of every other type, some to a patient or a consultation.
    pub(crate) fn beside_the_clinic(&mut self, options: &Options) {
        let mut rng = ChaCha12Rng::seed_from_u64(options.seed ^ 0x0BE5_1DE5);
        let start = instant(first_day(options), 8, &mut rng);
        let products: Vec<_> = PRODUCTS
            .iter()
            .map(|(name, sku, price)| {
                self.add(Kind::Product, start, |property| match property {
                    "name" => Some((*name).to_owned()),
                    "hs_sku" => Some((*sku).to_owned()),
                    "price" => Some((*price).to_owned()),
                    _ => None,
                })
            })
            .collect();
        let contacts: Vec<u64> = self.objects[&Kind::Contact].keys().copied().collect();
        let deals: Vec<u64> = self.objects[&Kind::Deal].keys().copied().collect();
        for contact in contacts {
            for kind in
                [Kind::Ticket, Kind::Call, Kind::Email, Kind::Meeting, Kind::Note, Kind::Task, Kind::Prescription]
            {
                if !rng.random_bool(0.3) {
                    continue;
                }
                let created = start + rng.random_range(0..900) * 86_400_000;
                let number = rng.random_range(1..10_000);
                let id = self.add(kind, created, |property| beside(property, number, created));
                self.relate(kind, id, Kind::Contact, contact, false, None);
            }
        }
        for deal in deals {
            let created = start + rng.random_range(0..900) * 86_400_000;
            for _ in 0..rng.random_range(0..3) {
                let product = products[rng.random_range(0..products.len())];
                let number = rng.random_range(1..5);
                let id = self.add(Kind::LineItem, created, |property| match property {
                    "hs_product_id" => Some(product.to_string()),
                    name => beside(name, number, created),
                });
                self.relate(Kind::LineItem, id, Kind::Deal, deal, false, None);
            }
            if rng.random_bool(0.1) {
                let number = rng.random_range(1..10_000);
                let id = self.add(Kind::Quote, created, |property| beside(property, number, created));
                self.relate(Kind::Quote, id, Kind::Deal, deal, false, None);
            }
        }
    }
}

fn beside(property: &str, number: i64, created: i64) -> Option<String> {
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
