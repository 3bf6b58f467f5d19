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
    /// Requests for help.
    Ticket,
    /// Products of a consultation.
    LineItem,
    /// Cannabidiol oils.
    Product,
    /// Offers.
    Quote,
    /// Phone calls.
    Call,
    /// E-mails.
    Email,
    /// Meetings.
    Meeting,
    /// Notes.
    Note,
    /// Tasks.
    Task,
    /// A custom object: prescriptions.
    Prescription,
}

/// A property: name, label, type.
pub type Property = (&'static str, &'static str, &'static str);

/// What is fixed of an object type.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The plural, as paths have it.
    pub plural: &'static str,
    /// The singular, as messages have it.
    pub singular: &'static str,
    /// HubSpot's id of the type.
    pub type_id: &'static str,
    /// The scope that reading needs.
    pub scope: &'static str,
    /// The properties that every portal has, in the order of a record's values.
    pub properties: &'static [Property],
}

const COMPANY: &[Property] = &[
    ("name", "Company name", "string"),
    ("especialidade_medica", "Especialidade Médica", "string"),
    ("phone", "Phone Number", "string"),
    ("city", "City", "string"),
    ("hubspot_owner_id", "Company owner", "enumeration"),
    ("createdate", "Create Date", "datetime"),
    ("hs_lastmodifieddate", "Last Modified Date", "datetime"),
    ("hs_object_id", "Record ID", "number"),
    (MERGED, "Merged Company IDs", "enumeration"),
    ("cnpj", "CNPJ", "string"),
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
    (MERGED, "Merged Contact IDs", "enumeration"),
    // HubSpot's own property is text.
    ("date_of_birth", "Date of birth", "string"),
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
    (CALCULATED, "Days to close", "number"),
    (MERGED, "Merged Deal IDs", "enumeration"),
];

/// The ids that were merged into a record, joined by `;`.
pub const MERGED: &str = "hs_merged_object_ids";
/// A property that HubSpot computes: its change does not count as one of the record.
pub const CALCULATED: &str = "days_to_close";

/// A type's properties: its own, then those that every type has.
macro_rules! properties {
    ($(($name:literal, $label:literal, $type:literal)),* $(,)?) => {
        &[
            $(($name, $label, $type),)*
            ("hs_createdate", "Object create date/time", "datetime"),
            ("hs_lastmodifieddate", "Object last modified date/time", "datetime"),
            ("hs_object_id", "Record ID", "number"),
        ]
    };
}

const TICKET: &[Property] = properties![
    ("subject", "Ticket name", "string"),
    ("content", "Ticket description", "string"),
    ("hs_pipeline", "Pipeline", "enumeration"),
    ("hs_pipeline_stage", "Ticket status", "enumeration"),
];
const LINE_ITEM: &[Property] = properties![
    ("name", "Name", "string"),
    ("quantity", "Quantity", "number"),
    ("price", "Unit price", "number"),
    ("hs_product_id", "Product ID", "number"),
];
const PRODUCT: &[Property] =
    properties![("name", "Name", "string"), ("hs_sku", "SKU", "string"), ("price", "Unit price", "number")];
const QUOTE: &[Property] = properties![
    ("hs_title", "Quote name", "string"),
    ("hs_status", "Quote status", "enumeration"),
    ("hs_expiration_date", "Expiration date", "datetime"),
];
const CALL: &[Property] = properties![
    ("hs_call_title", "Call title", "string"),
    ("hs_call_duration", "Call duration", "number"),
    ("hs_timestamp", "Activity date", "datetime"),
];
const EMAIL: &[Property] =
    properties![("hs_email_subject", "Email subject", "string"), ("hs_timestamp", "Activity date", "datetime")];
const MEETING: &[Property] =
    properties![("hs_meeting_title", "Meeting name", "string"), ("hs_timestamp", "Activity date", "datetime")];
const NOTE: &[Property] =
    properties![("hs_note_body", "Note body", "string"), ("hs_timestamp", "Activity date", "datetime")];
const TASK: &[Property] = properties![
    ("hs_task_subject", "Task title", "string"),
    ("hs_task_status", "Task status", "enumeration"),
    ("hs_timestamp", "Due date", "datetime"),
];
const PRESCRIPTION: &[Property] = properties![
    ("numero", "Número", "string"),
    ("validade", "Validade", "date"),
    ("dose_mg", "Dose (mg)", "number"),
    ("digital", "Receita digital", "bool"),
];

impl Kind {
    /// The clinic's own three: doctors, patients, consultations.
    pub const CLINIC: [Self; 3] = [Self::Company, Self::Contact, Self::Deal];

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Company,
        Self::Contact,
        Self::Deal,
        Self::Ticket,
        Self::LineItem,
        Self::Product,
        Self::Quote,
        Self::Call,
        Self::Email,
        Self::Meeting,
        Self::Note,
        Self::Task,
        Self::Prescription,
    ];

    /// What is fixed of the type.
    #[must_use]
    pub fn facts(self) -> Facts {
        let facts =
            |plural, singular, type_id, scope, properties| Facts { plural, singular, type_id, scope, properties };
        match self {
            Self::Company => facts("companies", "company", "0-2", "crm.objects.companies.read", COMPANY),
            Self::Contact => facts("contacts", "contact", "0-1", "crm.objects.contacts.read", CONTACT),
            Self::Deal => facts("deals", "deal", "0-3", "crm.objects.deals.read", DEAL),
            Self::Ticket => facts("tickets", "ticket", "0-5", "tickets", TICKET),
            Self::LineItem => facts("line_items", "line_item", "0-8", "crm.objects.line_items.read", LINE_ITEM),
            Self::Product => facts("products", "product", "0-7", "crm.objects.products.read", PRODUCT),
            Self::Quote => facts("quotes", "quote", "0-14", "crm.objects.quotes.read", QUOTE),
            Self::Call => facts("calls", "call", "0-48", "crm.objects.contacts.read", CALL),
            Self::Email => facts("emails", "email", "0-49", "sales-email-read", EMAIL),
            Self::Meeting => facts("meetings", "meeting_event", "0-47", "crm.objects.contacts.read", MEETING),
            Self::Note => facts("notes", "note", "0-46", "crm.objects.contacts.read", NOTE),
            Self::Task => facts("tasks", "task", "0-27", "crm.objects.contacts.read", TASK),
            Self::Prescription => {
                facts("p50000001_prescricoes", "prescricoes", "2-40000001", "crm.objects.custom.read", PRESCRIPTION)
            }
        }
    }

    /// From a path's plural, singular or type id.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            let facts = kind.facts();
            [facts.plural, facts.singular, facts.type_id].contains(&name)
        })
    }

    /// The plural, as paths have it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// The singular, as messages have it.
    #[must_use]
    pub fn singular(self) -> &'static str {
        self.facts().singular
    }

    /// The properties that every portal has.
    #[must_use]
    pub fn properties(self) -> &'static [Property] {
        self.facts().properties
    }

    /// Where such a property stands among a record's values.
    #[must_use]
    pub fn index(self, property: &str) -> Option<usize> {
        self.properties().iter().position(|(name, ..)| *name == property)
    }

    /// The property with the time of the last change.
    #[must_use]
    pub fn modified(self) -> &'static str {
        if self == Self::Contact { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// The association types ids from this type to another: the primary one with its label, then the unlabelled one.
    #[must_use]
    pub fn association_types(self, to: Self) -> (Option<u32>, u32) {
        use Kind::{Call, Company, Contact, Deal, Email, LineItem, Meeting, Note, Prescription, Quote, Task, Ticket};
        match (self, to) {
            (Deal, Company) => (Some(5), 341),
            (Contact, Company) => (Some(1), 279),
            (Company, Contact) => (Some(2), 280),
            (Company, Deal) => (Some(6), 342),
            (Deal, Contact) => (None, 3),
            (Contact, Deal) => (None, 4),
            (Ticket, Contact) => (None, 16),
            (Contact, Ticket) => (None, 15),
            (LineItem, Deal) => (None, 20),
            (Deal, LineItem) => (None, 19),
            (Quote, Deal) => (None, 64),
            (Deal, Quote) => (None, 63),
            (Call, Contact) => (None, 194),
            (Contact, Call) => (None, 193),
            (Email, Contact) => (None, 198),
            (Contact, Email) => (None, 197),
            (Meeting, Contact) => (None, 200),
            (Contact, Meeting) => (None, 199),
            (Note, Contact) => (None, 202),
            (Contact, Note) => (None, 201),
            (Task, Contact) => (None, 204),
            (Contact, Task) => (None, 203),
            (Prescription, Contact) => (None, 1001),
            (Contact, Prescription) => (None, 1002),
            _ => (None, 450),
        }
    }
}
