//! Constants of the clinic network: specialties with misspellings and margins, channels, deal stages, cities.

/// A specialty: canonical name, gross margin in basis points, misspellings.
pub type Specialty = (&'static str, i64, &'static [&'static str]);

/// The specialties. More than half of the misspellings are not in `sql/seeds/specialty_map.csv`: a rule has to find
/// them by similarity.
pub const SPECIALTIES: &[Specialty] = &[
    (
        "Neurologia",
        6200,
        &[
            "Neuro",
            "NEUROLOGIA",
            "neurologia",
            "Neurologista",
            "Neurología",
            "Neurolgia",
            "Neurollogia",
            "Neuroloiga",
            "Neurolojia",
            "NEUROLOGYA",
        ],
    ),
    (
        "Psiquiatria",
        6000,
        &[
            "Psiq",
            "PSIQUIATRIA",
            "psiquiatria",
            "Psiquiatra",
            "Psiquiartia",
            "Psiquatria",
            "Pisquiatria",
            "Psiqiatria",
            "PSIQUIATRIIA",
        ],
    ),
    (
        "Clínica Médica",
        5500,
        &[
            "Clinica Medica",
            "CLÍNICA MÉDICA",
            "Clínico Geral",
            "clinica geral",
            "Clínica Medíca",
            "Clin. Médica",
            "Clín. Méd.",
            "Clinca Médica",
            "CLÍNICA MÉDCIA",
            "Clinica Geal",
            "Clínico Gerral",
        ],
    ),
    (
        "Ortopedia",
        5800,
        &[
            "ORTOPEDIA",
            "Orto",
            "ortopedista",
            "Ortopedía",
            "Ortoepdia",
            "Ortopeida",
            "Ortop. e Traumatologia",
            "Ortopédia e Traumatolgia",
            "ORTOPEDISTTA",
        ],
    ),
    (
        "Geriatria",
        5900,
        &["GERIATRIA", "geriatra", "Geriatra", "Geriartia", "Geriatrria", "Geritria", "GERIATIRA", "geriatía"],
    ),
    (
        "Reumatologia",
        6100,
        &[
            "Reumato",
            "REUMATOLOGIA",
            "reumatologista",
            "Reumatología",
            "Reumatolgia",
            "Reumatologa",
            "Reumatolojia",
            "REUMATOLOIGA",
            "reumatologsita",
        ],
    ),
    (
        "Medicina da Dor",
        6500,
        &[
            "Dor",
            "MEDICINA DA DOR",
            "medicina dor",
            "Med. da Dor",
            "Medcina da Dor",
            "Medicina de Dor",
            "MEDICINA DA DORR",
            "Medicna da Dor",
        ],
    ),
];

/// The margin, in basis points, of a consultation whose doctor is unknown.
pub const UNKNOWN_MARGIN: i64 = 5500;

/// A channel: name, HubSpot's analytics source, drill-down 1, share of patients in percent, retention in percent.
pub type Channel = (&'static str, &'static str, &'static str, u32, u32);

/// The channels.
pub const CHANNELS: &[Channel] = &[
    ("google_ads", "PAID_SEARCH", "google", 30, 62),
    ("meta_ads", "PAID_SOCIAL", "facebook", 25, 55),
    ("organic_search", "ORGANIC_SEARCH", "Unknown keywords (SSL)", 20, 68),
    ("referral", "REFERRALS", "indicacao.med.br", 12, 74),
    ("direct", "DIRECT_TRAFFIC", "www.clinica.com.br/", 8, 65),
    ("email", "EMAIL_MARKETING", "newsletter", 5, 60),
];

/// The channels with media spend for ads.
pub const PAID_CHANNELS: [&str; 2] = ["google_ads", "meta_ads"];

/// The id of the deal pipeline.
pub const PIPELINE: &str = "consultas";

/// A deal stage: id, label, probability, whether it is closed.
pub type DealStage = (&'static str, &'static str, &'static str, bool);

/// The stages of a consultation.
pub const STAGES: &[DealStage] = &[
    ("agendada", "Agendada", "0.4", false),
    ("realizada", "Realizada", "1.0", true),
    ("cancelada", "Cancelada", "0.0", true),
    ("reembolsada", "Reembolsada", "0.0", true),
];

/// Cities of doctors and patients.
pub const CITIES: &[&str] = &["São Paulo", "Rio de Janeiro", "Belo Horizonte", "Curitiba", "Porto Alegre", "Recife"];

/// The network's time zone. It has been -03:00 all year since 2019.
pub const TIME_ZONE: &str = "America/Sao_Paulo";
