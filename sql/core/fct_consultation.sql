-- One row per deal. A deal with several contacts has one patient: the one with the lowest ID. A deal with several
-- companies has one doctor: the primary company, else the one with the lowest ID. IDs are numbers stored as text: the
-- shorter one is the lower. Amounts are converted at the rate of the close month.
-- margin = (amount - refund) in the home currency × gross margin of the specialty on the close date; 0 if lost or open.
WITH patients AS (
    SELECT links.deal_id, links.contact_id AS patient_id
    FROM staging.deal_contacts AS links
    JOIN staging.contacts AS contacts ON contacts.contact_id = links.contact_id
    QUALIFY row_number() OVER (PARTITION BY links.deal_id ORDER BY length(links.contact_id), links.contact_id) = 1
),
doctors AS (
    SELECT links.deal_id, links.company_id AS doctor_id
    FROM staging.deal_companies AS links
    JOIN staging.companies AS companies ON companies.company_id = links.company_id
    QUALIFY row_number() OVER (
        PARTITION BY links.deal_id ORDER BY links.is_primary DESC, length(links.company_id), links.company_id
    ) = 1
),
deals AS (
    SELECT
        deals.deal_id,
        patients.patient_id,
        coalesce(companies.company_id, '-1') AS doctor_id,
        coalesce(companies.specialty, 'Unknown') AS specialty,
        coalesce(stages.status, 'open') AS status,
        deals.closed_at,
        deals.closed_on,
        CAST(date_trunc('month', deals.closed_on) AS DATE) AS closed_month,
        deals.currency,
        deals.amount,
        -- A refunded deal without a refund amount was refunded in full.
        coalesce(deals.refund, CASE WHEN stages.status = 'refunded' THEN deals.amount ELSE 0 END) AS refund
    FROM staging.deals AS deals
    LEFT JOIN patients ON patients.deal_id = deals.deal_id
    LEFT JOIN doctors ON doctors.deal_id = deals.deal_id
    LEFT JOIN staging.companies AS companies ON companies.company_id = doctors.doctor_id
    LEFT JOIN staging.stages AS stages ON stages.pipeline = deals.pipeline AND stages.stage = deals.stage
),
with_rate AS (
    SELECT
        deals.*,
        CASE WHEN deals.currency = home.value THEN 1 ELSE fx.rate END AS rate
    FROM deals
    CROSS JOIN (SELECT value FROM _host.variables WHERE name = 'currency') AS home
    LEFT JOIN staging.fx AS fx ON fx.month = deals.closed_month AND fx.currency = deals.currency
),
with_gross_margin AS (
    SELECT
        with_rate.*,
        coalesce(specialty_margin.gross_margin_pct, default_margin.gross_margin_pct) AS gross_margin_pct
    FROM with_rate
    LEFT JOIN staging.margins AS specialty_margin
        ON specialty_margin.specialty = with_rate.specialty
        AND with_rate.closed_on >= specialty_margin.valid_from
        AND with_rate.closed_on < specialty_margin.valid_to
    LEFT JOIN staging.margins AS default_margin
        ON default_margin.specialty = 'Unknown'
        AND with_rate.closed_on >= default_margin.valid_from
        AND with_rate.closed_on < default_margin.valid_to
)
SELECT
    deal_id,
    patient_id,
    doctor_id,
    specialty,
    status,
    closed_at,
    closed_on,
    closed_month,
    CAST(coalesce(year(closed_on) * 10000 + month(closed_on) * 100 + day(closed_on), -1) AS INTEGER) AS date_key,
    currency,
    rate,
    CAST(amount * rate AS DECIMAL(18, 2)) AS amount_home,
    CAST(refund * rate AS DECIMAL(18, 2)) AS refund_home,
    gross_margin_pct,
    CASE
        WHEN status IN ('won', 'refunded')
            THEN CAST(CAST((amount - refund) * rate AS DECIMAL(18, 2)) * gross_margin_pct AS DECIMAL(24, 6))
        ELSE 0
    END AS margin,
    CASE WHEN is_visit THEN row_number() OVER visits END AS visit_no,
    is_visit AND row_number() OVER visits = 1 AS is_first
FROM (SELECT *, status = 'won' AND patient_id IS NOT NULL AND closed_on IS NOT NULL AS is_visit FROM with_gross_margin)
WINDOW visits AS (PARTITION BY patient_id, is_visit ORDER BY closed_at, length(deal_id), deal_id)
