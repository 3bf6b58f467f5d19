//! HubSpot's object types: their names in paths, ids, scopes, properties and association types.

/// An object type of the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectType {
    /// Doctors.
    Company,
    /// Patients.
    Contact,
    /// Consultations.
    Deal,
    /// Support tickets.
    Ticket,
    /// Products sold in a consultation.
    LineItem,
    /// Cannabidiol oils.
    Product,
    /// Quotes.
    Quote,
    /// Phone calls.
    Call,
    /// Logged e-mails.
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

/// A property of every portal: internal name, label, type.
pub type StandardProperty = (&'static str, &'static str, &'static str);

/// Constants of an object type.
#[derive(Debug, Clone, Copy)]
pub struct ObjectTypeInfo {
    /// The plural name, used in paths.
    pub plural: &'static str,
    /// The singular name, used in messages.
    pub singular: &'static str,
    /// HubSpot's object type id.
    pub type_id: &'static str,
    /// The scope that is required to read records.
    pub scope: &'static str,
    /// The properties of every portal, in the order of a record's values.
    pub properties: &'static [StandardProperty],
}

const COMPANY: &[StandardProperty] = &[
    ("name", "Company name", "string"),
    ("especialidade_medica", "Especialidade Médica", "string"),
    ("phone", "Phone Number", "string"),
    ("city", "City", "string"),
    ("hubspot_owner_id", "Company owner", "enumeration"),
    ("createdate", "Create Date", "datetime"),
    ("hs_lastmodifieddate", "Last Modified Date", "datetime"),
    ("hs_object_id", "Record ID", "number"),
    (MERGED_IDS_PROPERTY, "Merged Company IDs", "enumeration"),
    ("cnpj", "CNPJ", "string"),
];

const CONTACT: &[StandardProperty] = &[
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
    (MERGED_IDS_PROPERTY, "Merged Contact IDs", "enumeration"),
    // HubSpot's own `date_of_birth` is a text property.
    ("date_of_birth", "Date of birth", "string"),
];

const DEAL: &[StandardProperty] = &[
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
    (CALCULATED_PROPERTY, "Days to close", "number"),
    (MERGED_IDS_PROPERTY, "Merged Deal IDs", "enumeration"),
];

/// The property with the ids of the records that were merged into this one, joined by `;`.
pub const MERGED_IDS_PROPERTY: &str = "hs_merged_object_ids";
/// A property that HubSpot calculates: a new value does not change the record's modification date.
pub const CALCULATED_PROPERTY: &str = "days_to_close";

/// Lists the properties of a type: its own, then those that every type has.
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

const TICKET: &[StandardProperty] = properties![
    ("subject", "Ticket name", "string"),
    ("content", "Ticket description", "string"),
    ("hs_pipeline", "Pipeline", "enumeration"),
    ("hs_pipeline_stage", "Ticket status", "enumeration"),
];
const LINE_ITEM: &[StandardProperty] = properties![
    ("name", "Name", "string"),
    ("quantity", "Quantity", "number"),
    ("price", "Unit price", "number"),
    ("hs_product_id", "Product ID", "number"),
];
const PRODUCT: &[StandardProperty] =
    properties![("name", "Name", "string"), ("hs_sku", "SKU", "string"), ("price", "Unit price", "number")];
const QUOTE: &[StandardProperty] = properties![
    ("hs_title", "Quote name", "string"),
    ("hs_status", "Quote status", "enumeration"),
    ("hs_expiration_date", "Expiration date", "datetime"),
];
const CALL: &[StandardProperty] = properties![
    ("hs_call_title", "Call title", "string"),
    ("hs_call_duration", "Call duration", "number"),
    ("hs_timestamp", "Activity date", "datetime"),
];
const EMAIL: &[StandardProperty] =
    properties![("hs_email_subject", "Email subject", "string"), ("hs_timestamp", "Activity date", "datetime")];
const MEETING: &[StandardProperty] =
    properties![("hs_meeting_title", "Meeting name", "string"), ("hs_timestamp", "Activity date", "datetime")];
const NOTE: &[StandardProperty] =
    properties![("hs_note_body", "Note body", "string"), ("hs_timestamp", "Activity date", "datetime")];
const TASK: &[StandardProperty] = properties![
    ("hs_task_subject", "Task title", "string"),
    ("hs_task_status", "Task status", "enumeration"),
    ("hs_timestamp", "Due date", "datetime"),
];
const PRESCRIPTION: &[StandardProperty] = properties![
    ("numero", "Número", "string"),
    ("validade", "Validade", "date"),
    ("dose_mg", "Dose (mg)", "number"),
    ("digital", "Receita digital", "bool"),
];

impl ObjectType {
    /// The three types of the clinic network: doctors, patients, consultations.
    pub const CLINIC: [Self; 3] = [Self::Company, Self::Contact, Self::Deal];

    /// All types.
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

    /// The type's constants.
    #[must_use]
    pub fn info(self) -> ObjectTypeInfo {
        let info = |plural, singular, type_id, scope, properties| ObjectTypeInfo {
            plural,
            singular,
            type_id,
            scope,
            properties,
        };
        match self {
            Self::Company => info("companies", "company", "0-2", "crm.objects.companies.read", COMPANY),
            Self::Contact => info("contacts", "contact", "0-1", "crm.objects.contacts.read", CONTACT),
            Self::Deal => info("deals", "deal", "0-3", "crm.objects.deals.read", DEAL),
            Self::Ticket => info("tickets", "ticket", "0-5", "tickets", TICKET),
            Self::LineItem => info("line_items", "line_item", "0-8", "crm.objects.line_items.read", LINE_ITEM),
            Self::Product => info("products", "product", "0-7", "crm.objects.products.read", PRODUCT),
            Self::Quote => info("quotes", "quote", "0-14", "crm.objects.quotes.read", QUOTE),
            Self::Call => info("calls", "call", "0-48", "crm.objects.contacts.read", CALL),
            Self::Email => info("emails", "email", "0-49", "sales-email-read", EMAIL),
            Self::Meeting => info("meetings", "meeting_event", "0-47", "crm.objects.contacts.read", MEETING),
            Self::Note => info("notes", "note", "0-46", "crm.objects.contacts.read", NOTE),
            Self::Task => info("tasks", "task", "0-27", "crm.objects.contacts.read", TASK),
            Self::Prescription => {
                info("p50000001_prescricoes", "prescricoes", "2-40000001", "crm.objects.custom.read", PRESCRIPTION)
            }
        }
    }

    /// Parses a plural name, a singular name or an object type id.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object_type| {
            let info = object_type.info();
            [info.plural, info.singular, info.type_id].contains(&name)
        })
    }

    /// The plural name, used in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.info().plural
    }

    /// The singular name, used in messages.
    #[must_use]
    pub fn singular(self) -> &'static str {
        self.info().singular
    }

    /// The properties of every portal.
    #[must_use]
    pub fn properties(self) -> &'static [StandardProperty] {
        self.info().properties
    }

    /// The index of such a property in a record's values.
    #[must_use]
    pub fn index(self, property: &str) -> Option<usize> {
        self.properties().iter().position(|(name, ..)| *name == property)
    }

    /// The name of the property with the modification date.
    #[must_use]
    pub fn modified_property(self) -> &'static str {
        if self == Self::Contact { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// The ids of HubSpot's association types from this type to another: the primary one, if there is one, and the
    /// unlabeled one.
    #[must_use]
    pub fn association_types(self, to: Self) -> (Option<u32>, u32) {
        use ObjectType::{
            Call, Company, Contact, Deal, Email, LineItem, Meeting, Note, Prescription, Quote, Task, Ticket,
        };
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
