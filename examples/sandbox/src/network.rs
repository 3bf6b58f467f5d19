//! The contents of the portal: records, associations and property definitions, with the ground truth about patients,
//! doctors and consultations; and the operations that change them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::object_types::{MERGED_IDS_PROPERTY, ObjectType};

/// A CRM record.
#[derive(Debug, Clone)]
pub struct Record {
    /// The record id.
    pub id: u64,
    /// Creation time, in milliseconds since 1970.
    pub created: i64,
    /// Time of the last change, in milliseconds since 1970.
    pub updated: i64,
    /// Deletion time, in milliseconds since 1970.
    pub archived: Option<i64>,
    /// Values in the order of [`Network::properties`]; shorter if a property was added later.
    pub values: Vec<Option<String>>,
}

/// An association from one record to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Association {
    /// The id of the other record.
    pub to: u64,
    /// Whether it is the primary association to that object type.
    pub is_primary: bool,
    /// A label that the portal defines.
    pub label: Option<&'static str>,
}

/// A consultation: ground truth.
#[derive(Debug, Clone)]
pub struct Consultation {
    /// The id of its deal.
    pub deal: u64,
    /// The patient, as an index of [`Network::patients`].
    pub patient: usize,
    /// The doctor, as an index of [`Network::doctors`].
    pub doctor: usize,
    /// Whether the deal has no associated company.
    pub unlinked: bool,
    /// Close time, in milliseconds since 1970.
    pub closed: i64,
    /// In centavos.
    pub amount: i64,
    /// In centavos.
    pub refund: i64,
    /// An index of [`STAGES`](crate::clinic::STAGES).
    pub stage: usize,
}

/// A patient: ground truth.
#[derive(Debug, Clone)]
pub struct Patient {
    /// An index of [`CHANNELS`](crate::clinic::CHANNELS).
    pub channel: usize,
    /// The doctor that the contacts are associated with, as an index of [`Network::doctors`].
    pub doctor: usize,
    /// The ids of the patient's contacts, the original first, then duplicates.
    pub contacts: Vec<u64>,
}

/// A doctor: ground truth.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// An index of [`SPECIALTIES`](crate::clinic::SPECIALTIES).
    pub specialty: usize,
    /// The ids of the doctor's companies, the original first, then duplicates.
    pub companies: Vec<u64>,
}

/// A property as the portal defines it.
#[derive(Debug, Clone)]
pub struct PropertyDefinition {
    /// The internal name.
    pub name: String,
    /// The label.
    pub label: String,
    /// The type.
    pub data_type: String,
    /// Whether it was deleted. The API omits deleted properties.
    pub archived: bool,
}

/// An earlier value of a property.
#[derive(Debug, Clone)]
pub struct PropertyVersion {
    /// The value.
    pub value: String,
    /// When it was set, in milliseconds since 1970.
    pub since: i64,
}

/// The portal's records and the ground truth behind them.
#[derive(Debug)]
pub struct Network {
    /// Records by type and id.
    pub records: BTreeMap<ObjectType, BTreeMap<u64, Record>>,
    /// Associations by (from, to) types and the id of the record that they start at.
    pub associations: BTreeMap<(ObjectType, ObjectType), BTreeMap<u64, Vec<Association>>>,
    /// Properties by type, in the order of [`Record::values`].
    pub properties: BTreeMap<ObjectType, Vec<PropertyDefinition>>,
    /// Earlier values by type, record and property.
    pub history: BTreeMap<(ObjectType, u64, String), Vec<PropertyVersion>>,
    /// All patients.
    pub patients: Vec<Patient>,
    /// All doctors.
    pub doctors: Vec<Doctor>,
    /// All consultations.
    pub consultations: Vec<Consultation>,
    next_id: BTreeMap<ObjectType, u64>,
}

impl Default for Network {
    fn default() -> Self {
        let define = |(name, label, data_type): &(&str, &str, &str)| PropertyDefinition {
            name: (*name).to_owned(),
            label: (*label).to_owned(),
            data_type: (*data_type).to_owned(),
            archived: false,
        };
        let properties = |object_type: ObjectType| (object_type, object_type.properties().iter().map(define).collect());
        Self {
            records: BTreeMap::new(),
            associations: BTreeMap::new(),
            properties: ObjectType::ALL.map(properties).into(),
            history: BTreeMap::new(),
            patients: Vec::new(),
            doctors: Vec::new(),
            consultations: Vec::new(),
            next_id: BTreeMap::new(),
        }
    }
}

impl Network {
    /// The index of a property in a record's values.
    #[must_use]
    pub fn index(&self, object_type: ObjectType, property: &str) -> Option<usize> {
        self.properties[&object_type].iter().position(|definition| definition.name == property)
    }

    /// The value of a record's property.
    #[must_use]
    pub fn value(&self, object_type: ObjectType, id: u64, property: &str) -> Option<&str> {
        self.records.get(&object_type)?.get(&id)?.values.get(self.index(object_type, property)?)?.as_deref()
    }

    /// Adds a record and returns its id. `value` is called for each property that the portal does not set itself.
    pub fn add(&mut self, object_type: ObjectType, created: i64, value: impl Fn(&str) -> Option<String>) -> u64 {
        let next = self.next_id.entry(object_type).or_insert(20_000_000_001);
        let id = *next;
        *next += 1;
        let values = self.properties[&object_type].iter().map(|definition| match definition.name.as_str() {
            "createdate" | "hs_createdate" | "lastmodifieddate" | "hs_lastmodifieddate" => Some(iso(created)),
            "hs_object_id" => Some(id.to_string()),
            name => value(name),
        });
        let record = Record { id, created, updated: created, archived: None, values: values.collect() };
        self.records.entry(object_type).or_default().insert(id, record);
        id
    }

    /// Changes a value at a given time and keeps the old one in the history. Returns false if there is no such active
    /// record or property.
    pub fn edit(&mut self, object_type: ObjectType, id: u64, property: &str, value: Option<&str>, at: i64) -> bool {
        let before = self.value(object_type, id, property).map(str::to_owned);
        if !self.edit_silently(object_type, id, property, value) {
            return false;
        }
        if let (Some(value), Some(since)) = (before, self.records[&object_type].get(&id).map(|record| record.updated)) {
            let versions = self.history.entry((object_type, id, property.to_owned())).or_default();
            versions.push(PropertyVersion { value, since });
        }
        self.touch(object_type, id, at);
        true
    }

    /// Changes a value but not the modification date, as HubSpot does for calculated properties.
    pub fn edit_silently(&mut self, object_type: ObjectType, id: u64, property: &str, value: Option<&str>) -> bool {
        let Some(index) = self.index(object_type, property) else { return false };
        let record = self.records.get_mut(&object_type).and_then(|records| records.get_mut(&id));
        let Some(record) = record.filter(|record| record.archived.is_none()) else { return false };
        if record.values.len() <= index {
            record.values.resize(index + 1, None);
        }
        record.values[index] = value.map(str::to_owned);
        true
    }

    /// Sets a record's modification date.
    pub fn touch(&mut self, object_type: ObjectType, id: u64, at: i64) {
        let index = self.index(object_type, object_type.modified_property());
        let record = self.records.get_mut(&object_type).and_then(|records| records.get_mut(&id));
        if let (Some(record), Some(index)) = (record, index) {
            record.updated = at;
            record.values[index] = Some(iso(at));
        }
    }

    /// Deletes a record. The API still lists it as archived, but returns none of its associations.
    pub fn archive(&mut self, object_type: ObjectType, id: u64, at: i64) -> bool {
        let record = self.records.get_mut(&object_type).and_then(|records| records.get_mut(&id));
        let Some(record) = record.filter(|record| record.archived.is_none()) else { return false };
        record.archived = Some(at);
        true
    }

    /// Restores a deleted record. Its modification date does not change.
    pub fn restore(&mut self, object_type: ObjectType, id: u64) -> bool {
        let record = self.records.get_mut(&object_type).and_then(|records| records.get_mut(&id));
        record.is_some_and(|record| record.archived.take().is_some())
    }

    /// Deletes a record permanently, as a privacy request does. The API never returns it again.
    pub fn purge(&mut self, object_type: ObjectType, id: u64) -> bool {
        for ((from, to), associations) in &mut self.associations {
            if *from == object_type {
                associations.remove(&id);
            }
            if *to == object_type {
                associations.values_mut().for_each(|of_record| of_record.retain(|one| one.to != id));
            }
        }
        self.records.get_mut(&object_type).is_some_and(|records| records.remove(&id).is_some())
    }

    /// Merges the loser into the winner: the loser is removed, the winner takes its associations and lists its id.
    pub fn merge(&mut self, object_type: ObjectType, winner: u64, loser: u64, at: i64) -> bool {
        let is_active =
            |id| self.records.get(&object_type).and_then(|all| all.get(&id)).is_some_and(|one| one.archived.is_none());
        if winner == loser || !is_active(winner) || !is_active(loser) {
            return false;
        }
        let pairs: Vec<_> = self.associations.keys().copied().filter(|(from, _)| *from == object_type).collect();
        for (from, to) in pairs {
            let of_loser = self.associations.get_mut(&(from, to)).and_then(|all| all.remove(&loser));
            for moved in of_loser.unwrap_or_default() {
                let back = self.associations.entry((to, from)).or_default().entry(moved.to).or_default();
                back.retain(|back| back.to != loser);
                if !back.iter().any(|back| back.to == winner) {
                    self.associate_as(from, winner, to, moved.to, moved.is_primary, moved.label);
                }
            }
        }
        let mut merged =
            self.value(object_type, winner, MERGED_IDS_PROPERTY).map(|ids| format!("{ids};")).unwrap_or_default();
        merged.push_str(&loser.to_string());
        self.records.get_mut(&object_type).map(|records| records.remove(&loser));
        self.edit(object_type, winner, MERGED_IDS_PROPERTY, Some(&merged), at)
    }

    /// Associates two records in both directions, as primary if HubSpot has a primary type for the pair.
    pub fn associate(&mut self, from_type: ObjectType, from: u64, to_type: ObjectType, to: u64) {
        self.associate_as(from_type, from, to_type, to, true, None);
    }

    /// Associates two records in both directions, optionally as primary and with a label.
    pub fn associate_as(
        &mut self,
        from_type: ObjectType,
        from: u64,
        to_type: ObjectType,
        to: u64,
        is_primary: bool,
        label: Option<&'static str>,
    ) {
        for (one_type, one, other_type, other) in [(from_type, from, to_type, to), (to_type, to, from_type, from)] {
            let associations = self.associations.entry((one_type, other_type)).or_default().entry(one).or_default();
            let is_primary = is_primary && one_type.association_types(other_type).0.is_some();
            associations.push(Association { to: other, is_primary, label });
        }
    }

    /// Removes the associations of two records in both directions. No modification date changes. Returns whether there
    /// were any.
    pub fn dissociate(&mut self, from_type: ObjectType, from: u64, to_type: ObjectType, to: u64) -> bool {
        let mut removed = false;
        for (one_type, one, other_type, other) in [(from_type, from, to_type, to), (to_type, to, from_type, from)] {
            let associations = self.associations.get_mut(&(one_type, other_type)).and_then(|all| all.get_mut(&one));
            if let Some(associations) = associations {
                let before = associations.len();
                associations.retain(|association| association.to != other);
                removed |= associations.len() < before;
            }
        }
        removed
    }

    /// A record's associations with a type, without those of archived records.
    pub fn active_associations(&self, from: ObjectType, to: ObjectType, id: u64) -> impl Iterator<Item = &Association> {
        let is_active = move |object_type: ObjectType, id: &u64| {
            self.records.get(&object_type).and_then(|all| all.get(id)).is_some_and(|record| record.archived.is_none())
        };
        let associations = self.associations.get(&(from, to)).and_then(|all| all.get(&id));
        let associations = associations.filter(|_| is_active(from, &id));
        associations.into_iter().flatten().filter(move |association| is_active(to, &association.to))
    }

    /// Category, type id and label of each type that an association has.
    #[must_use]
    pub fn association_types(
        from: ObjectType,
        to: ObjectType,
        association: &Association,
    ) -> Vec<(&'static str, u32, Option<&'static str>)> {
        let (primary, unlabeled) = from.association_types(to);
        let primary = primary.filter(|_| association.is_primary).map(|id| ("HUBSPOT_DEFINED", id, Some("Primary")));
        let labeled = association.label.map(|label| ("USER_DEFINED", 36, Some(label)));
        primary.into_iter().chain([("HUBSPOT_DEFINED", unlabeled, None)]).chain(labeled).collect()
    }

    /// Defines a new property.
    pub fn add_property(&mut self, object_type: ObjectType, name: &str, data_type: &str) {
        let (name, data_type) = (name.to_owned(), data_type.to_owned());
        let definition = PropertyDefinition { label: name.clone(), name, data_type, archived: false };
        self.properties.entry(object_type).or_default().push(definition);
    }

    /// Changes a property's definition. Returns false if there is no property of this name.
    pub fn redefine(
        &mut self,
        object_type: ObjectType,
        name: &str,
        change: impl FnOnce(&mut PropertyDefinition),
    ) -> bool {
        let definitions = self.properties.entry(object_type).or_default();
        definitions.iter_mut().find(|definition| definition.name == name).map(change).is_some()
    }
}

/// Formats milliseconds since 1970 as HubSpot formats a timestamp.
pub(crate) fn iso(milliseconds: i64) -> String {
    let instant = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
