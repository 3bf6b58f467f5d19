//! What the portal holds: records, links, property definitions, and the truth behind them; and how each changes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::kinds::{Kind, MERGED};

/// A record.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its id.
    pub id: u64,
    /// Created, in milliseconds since 1970.
    pub created: i64,
    /// Last changed, in milliseconds since 1970.
    pub updated: i64,
    /// When it was deleted, in milliseconds since 1970.
    pub archived: Option<i64>,
    /// Values in the order of [`Network::properties`]; shorter where a property was added later.
    pub values: Vec<Option<String>>,
}

/// From one record to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The other record.
    pub to: u64,
    /// Whether it is the first among several.
    pub is_primary: bool,
    /// A label of the portal's own.
    pub label: Option<&'static str>,
}

/// A true consultation.
#[derive(Debug, Clone)]
pub struct Consultation {
    /// The deal's id.
    pub deal: u64,
    /// The true patient, an index.
    pub patient: usize,
    /// The true doctor, an index.
    pub doctor: usize,
    /// Whether the deal lost its company.
    pub unlinked: bool,
    /// Closed, in milliseconds since 1970.
    pub closed: i64,
    /// In centavos.
    pub amount: i64,
    /// In centavos.
    pub refund: i64,
    /// An index of [`STAGES`](crate::clinic::STAGES).
    pub stage: usize,
}

/// A true patient.
#[derive(Debug, Clone)]
pub struct Patient {
    /// An index of [`CHANNELS`](crate::clinic::CHANNELS).
    pub channel: usize,
    /// The doctor that the contact is linked to, an index.
    pub doctor: usize,
    /// The contact's ids, the original first.
    pub contacts: Vec<u64>,
}

/// A true doctor.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// An index of [`SPECIALTIES`](crate::clinic::SPECIALTIES).
    pub specialty: usize,
    /// The company's ids, the original first.
    pub companies: Vec<u64>,
}

/// A property as the portal defines it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its internal name.
    pub name: String,
    /// Its label.
    pub label: String,
    /// Its type.
    pub data_type: String,
    /// Whether it was deleted: the API leaves it out.
    pub archived: bool,
}

/// A value that a property had.
#[derive(Debug, Clone)]
pub struct Version {
    /// The value.
    pub value: String,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
}

/// The portal's records and the truth behind them.
#[derive(Debug)]
pub struct Network {
    /// Records by type and id.
    pub objects: BTreeMap<Kind, BTreeMap<u64, Object>>,
    /// Links by types and id.
    pub links: BTreeMap<(Kind, Kind), BTreeMap<u64, Vec<Link>>>,
    /// Properties by type, in the order of records' values.
    pub properties: BTreeMap<Kind, Vec<Definition>>,
    /// Older values by type, record and property.
    pub history: BTreeMap<(Kind, u64, String), Vec<Version>>,
    /// The true patients.
    pub patients: Vec<Patient>,
    /// The true doctors.
    pub doctors: Vec<Doctor>,
    /// The true consultations.
    pub consultations: Vec<Consultation>,
    next_id: BTreeMap<Kind, u64>,
}

impl Default for Network {
    fn default() -> Self {
        let define = |(name, label, data_type): &(&str, &str, &str)| Definition {
            name: (*name).to_owned(),
            label: (*label).to_owned(),
            data_type: (*data_type).to_owned(),
            archived: false,
        };
        let properties = |kind: Kind| (kind, kind.properties().iter().map(define).collect());
        Self {
            objects: BTreeMap::new(),
            links: BTreeMap::new(),
            properties: Kind::ALL.map(properties).into(),
            history: BTreeMap::new(),
            patients: Vec::new(),
            doctors: Vec::new(),
            consultations: Vec::new(),
            next_id: BTreeMap::new(),
        }
    }
}

impl Network {
    /// Where a property stands among a record's values.
    #[must_use]
    pub fn index(&self, kind: Kind, property: &str) -> Option<usize> {
        self.properties[&kind].iter().position(|definition| definition.name == property)
    }

    /// A record's value.
    #[must_use]
    pub fn value(&self, kind: Kind, id: u64, property: &str) -> Option<&str> {
        self.objects.get(&kind)?.get(&id)?.values.get(self.index(kind, property)?)?.as_deref()
    }

    /// Makes a record; `value` gives those that the host's own properties do not.
    pub fn add(&mut self, kind: Kind, created: i64, value: impl Fn(&str) -> Option<String>) -> u64 {
        let next = self.next_id.entry(kind).or_insert(20_000_000_001);
        let id = *next;
        *next += 1;
        let values = self.properties[&kind].iter().map(|definition| match definition.name.as_str() {
            "createdate" | "hs_createdate" | "lastmodifieddate" | "hs_lastmodifieddate" => Some(iso(created)),
            "hs_object_id" => Some(id.to_string()),
            name => value(name),
        });
        let object = Object { id, created, updated: created, archived: None, values: values.collect() };
        self.objects.entry(kind).or_default().insert(id, object);
        id
    }

    /// Changes a record's value at an instant; false where there is no such live record or property.
    pub fn edit(&mut self, kind: Kind, id: u64, property: &str, value: Option<&str>, at: i64) -> bool {
        let before = self.value(kind, id, property).map(str::to_owned);
        if !self.edit_silently(kind, id, property, value) {
            return false;
        }
        if let (Some(value), Some(since)) = (before, self.objects[&kind].get(&id).map(|object| object.updated)) {
            let versions = self.history.entry((kind, id, property.to_owned())).or_default();
            versions.push(Version { value, since });
        }
        self.touch(kind, id, at);
        true
    }

    /// Changes a record's value without its date of change, as HubSpot does for what it calculates.
    pub fn edit_silently(&mut self, kind: Kind, id: u64, property: &str, value: Option<&str>) -> bool {
        let Some(index) = self.index(kind, property) else { return false };
        let object = self.objects.get_mut(&kind).and_then(|objects| objects.get_mut(&id));
        let Some(object) = object.filter(|object| object.archived.is_none()) else { return false };
        if object.values.len() <= index {
            object.values.resize(index + 1, None);
        }
        object.values[index] = value.map(str::to_owned);
        true
    }

    /// Gives records of a type one date of change.
    pub fn touch(&mut self, kind: Kind, id: u64, at: i64) {
        let index = self.index(kind, kind.modified());
        let object = self.objects.get_mut(&kind).and_then(|objects| objects.get_mut(&id));
        if let (Some(object), Some(index)) = (object, index) {
            object.updated = at;
            object.values[index] = Some(iso(at));
        }
    }

    /// Deletes a record: it is listed as archived, and its links are gone from answers.
    pub fn archive(&mut self, kind: Kind, id: u64, at: i64) -> bool {
        let object = self.objects.get_mut(&kind).and_then(|objects| objects.get_mut(&id));
        let Some(object) = object.filter(|object| object.archived.is_none()) else { return false };
        object.archived = Some(at);
        true
    }

    /// Brings a deleted record back, as it was: its date of change stays.
    pub fn restore(&mut self, kind: Kind, id: u64) -> bool {
        let object = self.objects.get_mut(&kind).and_then(|objects| objects.get_mut(&id));
        object.is_some_and(|object| object.archived.take().is_some())
    }

    /// Deletes a record for good, as a privacy request does: no answer names it again.
    pub fn purge(&mut self, kind: Kind, id: u64) -> bool {
        for ((from, to), links) in &mut self.links {
            if *from == kind {
                links.remove(&id);
            }
            if *to == kind {
                links.values_mut().for_each(|links| links.retain(|link| link.to != id));
            }
        }
        self.objects.get_mut(&kind).is_some_and(|objects| objects.remove(&id).is_some())
    }

    /// Merges one record into another: the loser is gone, its links are the winner's, which names it.
    pub fn merge(&mut self, kind: Kind, winner: u64, loser: u64, at: i64) -> bool {
        let live = |id| self.objects.get(&kind).and_then(|all| all.get(&id)).is_some_and(|one| one.archived.is_none());
        if winner == loser || !live(winner) || !live(loser) {
            return false;
        }
        let pairs: Vec<_> = self.links.keys().copied().filter(|(from, _)| *from == kind).collect();
        for (from, to) in pairs {
            let moved = self.links.get_mut(&(from, to)).and_then(|links| links.remove(&loser)).unwrap_or_default();
            for link in moved {
                let back = self.links.entry((to, from)).or_default().entry(link.to).or_default();
                back.retain(|back| back.to != loser);
                if !back.iter().any(|back| back.to == winner) {
                    self.relate(from, winner, to, link.to, link.is_primary, link.label);
                }
            }
        }
        let mut merged = self.value(kind, winner, MERGED).map(|ids| format!("{ids};")).unwrap_or_default();
        merged.push_str(&loser.to_string());
        self.objects.get_mut(&kind).map(|objects| objects.remove(&loser));
        self.edit(kind, winner, MERGED, Some(&merged), at)
    }

    /// Links two records, both ways, as each other's primary where none is yet.
    pub fn link(&mut self, from_kind: Kind, from: u64, to_kind: Kind, to: u64) {
        self.relate(from_kind, from, to_kind, to, true, None);
    }

    /// Links two records, both ways.
    pub fn relate(
        &mut self,
        from_kind: Kind,
        from: u64,
        to_kind: Kind,
        to: u64,
        is_primary: bool,
        label: Option<&'static str>,
    ) {
        for (one_kind, one, other_kind, other) in [(from_kind, from, to_kind, to), (to_kind, to, from_kind, from)] {
            let links = self.links.entry((one_kind, other_kind)).or_default().entry(one).or_default();
            let is_primary = is_primary && one_kind.association_types(other_kind).0.is_some();
            links.push(Link { to: other, is_primary, label });
        }
    }

    /// Unlinks two records, both ways; no date of change tells.
    pub fn unlink(&mut self, from_kind: Kind, from: u64, to_kind: Kind, to: u64) -> bool {
        let mut gone = false;
        for (one_kind, one, other_kind, other) in [(from_kind, from, to_kind, to), (to_kind, to, from_kind, from)] {
            if let Some(links) = self.links.get_mut(&(one_kind, other_kind)).and_then(|links| links.get_mut(&one)) {
                let before = links.len();
                links.retain(|link| link.to != other);
                gone |= links.len() < before;
            }
        }
        gone
    }

    /// The live links of a live record.
    pub fn live_links(&self, from: Kind, to: Kind, id: u64) -> impl Iterator<Item = &Link> {
        let live = move |kind: Kind, id: &u64| {
            self.objects.get(&kind).and_then(|all| all.get(id)).is_some_and(|object| object.archived.is_none())
        };
        let links = self.links.get(&(from, to)).and_then(|links| links.get(&id)).filter(|_| live(from, &id));
        links.into_iter().flatten().filter(move |link| live(to, &link.to))
    }

    /// Category, type id and label of each of a link's types.
    #[must_use]
    pub fn link_types(from: Kind, to: Kind, link: &Link) -> Vec<(&'static str, u32, Option<&'static str>)> {
        let (primary, plain) = from.association_types(to);
        let primary = primary.filter(|_| link.is_primary).map(|id| ("HUBSPOT_DEFINED", id, Some("Primary")));
        let own = link.label.map(|label| ("USER_DEFINED", 36, Some(label)));
        primary.into_iter().chain([("HUBSPOT_DEFINED", plain, None)]).chain(own).collect()
    }

    /// Defines a new property.
    pub fn add_property(&mut self, kind: Kind, name: &str, data_type: &str) {
        let (name, data_type) = (name.to_owned(), data_type.to_owned());
        let definition = Definition { label: name.clone(), name, data_type, archived: false };
        self.properties.entry(kind).or_default().push(definition);
    }

    /// Changes a property's definition; false where there is none of this name.
    pub fn redefine(&mut self, kind: Kind, name: &str, change: impl FnOnce(&mut Definition)) -> bool {
        let definitions = self.properties.entry(kind).or_default();
        definitions.iter_mut().find(|definition| definition.name == name).map(change).is_some()
    }
}

/// Milliseconds as HubSpot writes instants.
pub(crate) fn iso(milliseconds: i64) -> String {
    let instant = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
