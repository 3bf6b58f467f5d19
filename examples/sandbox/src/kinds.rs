//! Object types with their properties, as the properties API tells them.

/// An object type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Doctors.
    Company,
    /// Patients.
    Contact,
    /// Consultations.
    Deal,
}

/// A property: name, label, type.
pub type Property = (&'static str, &'static str, &'static str);

const COMPANY: &[Property] = &[
    ("name", "Company name", "string"),
    ("especialidade_medica", "Especialidade Médica", "string"),
    ("phone", "Phone Number", "string"),
    ("city", "City", "string"),
    ("hubspot_owner_id", "Company owner", "enumeration"),
    ("createdate", "Create Date", "datetime"),
    ("hs_lastmodifieddate", "Last Modified Date", "datetime"),
    ("hs_object_id", "Record ID", "number"),
];

const CONTACT: &[Property] = &[
    ("firstname", "First Name", "string"),
    ("lastname", "Last Name", "string"),
    ("email", "Email", "string"),
    ("phone", "Phone Number", "phone_number"),
    ("city", "City", "string"),
    ("lifecyclestage", "Lifecycle Stage", "enumeration"),
    ("hs_analytics_source", "Original Traffic Source", "enumeration"),
    ("hs_analytics_source_data_1", "Original Traffic Source Drill-Down 1", "string"),
    ("hs_analytics_source_data_2", "Original Traffic Source Drill-Down 2", "string"),
    ("hubspot_owner_id", "Contact owner", "enumeration"),
    ("createdate", "Create Date", "datetime"),
    ("lastmodifieddate", "Last Modified Date", "datetime"),
    ("hs_object_id", "Record ID", "number"),
];

const DEAL: &[Property] = &[
    ("dealname", "Deal Name", "string"),
    ("amount", "Amount", "number"),
    ("deal_currency_code", "Currency", "enumeration"),
    ("valor_reembolsado", "Valor Reembolsado", "number"),
    ("pipeline", "Pipeline", "enumeration"),
    ("dealstage", "Deal Stage", "enumeration"),
    ("closedate", "Close Date", "datetime"),
    ("hubspot_owner_id", "Deal owner", "enumeration"),
    ("createdate", "Create Date", "datetime"),
    ("hs_lastmodifieddate", "Last Modified Date", "datetime"),
    ("hs_object_id", "Record ID", "number"),
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Company, Self::Contact, Self::Deal];

    /// From a path's plural, singular or type id.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "companies" | "company" | "0-2" => Some(Self::Company),
            "contacts" | "contact" | "0-1" => Some(Self::Contact),
            "deals" | "deal" | "0-3" => Some(Self::Deal),
            _ => None,
        }
    }

    /// The plural, as paths have it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Company => "companies",
            Self::Contact => "contacts",
            Self::Deal => "deals",
        }
    }

    /// The singular, as messages have it.
    #[must_use]
    pub fn singular(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Contact => "contact",
            Self::Deal => "deal",
        }
    }

    /// The properties, in the order of a record's values.
    #[must_use]
    pub fn properties(self) -> &'static [Property] {
        match self {
            Self::Company => COMPANY,
            Self::Contact => CONTACT,
            Self::Deal => DEAL,
        }
    }

    /// Where a property stands among a record's values.
    #[must_use]
    pub fn index(self, property: &str) -> Option<usize> {
        self.properties().iter().position(|(name, ..)| *name == property)
    }

    /// The property with the time of the last change.
    #[must_use]
    pub fn modified(self) -> &'static str {
        if self == Self::Contact { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// The association type ids from this type to another: primary with label, and unlabelled.
    #[must_use]
    pub fn association_types(self, to: Self) -> &'static [(u32, Option<&'static str>)] {
        match (self, to) {
            (Self::Deal, Self::Company) => &[(5, Some("Primary")), (341, None)],
            (Self::Contact, Self::Company) => &[(1, Some("Primary")), (279, None)],
            (Self::Company, Self::Contact) => &[(2, Some("Primary")), (280, None)],
            (Self::Company, Self::Deal) => &[(6, Some("Primary")), (342, None)],
            (Self::Deal, Self::Contact) => &[(3, None)],
            (Self::Contact, Self::Deal) => &[(4, None)],
            _ => &[],
        }
    }
}
