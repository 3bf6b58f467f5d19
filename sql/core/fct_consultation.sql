-- One row a deal: patient, doctor, specialty, status, money in the home currency, margin.
-- margin = (amount - refund) × gross margin of the specialty at the close date; nothing for lost and open deals.
-- A deal without a company stays, under specialty Unknown. Of several contacts the one with the lowest id is the patient.
WITH patients AS (
    SELECT deal_id, min(contact_id) AS patient_id FROM staging.deal_contacts GROUP BY deal_id
),
doctors AS (
    SELECT deal_id, company_id AS doctor_id
    FROM staging.deal_companies
    QUALIFY row_number() OVER (PARTITION BY deal_id ORDER BY is_primary DESC, company_id) = 1
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
        deals.refund
    FROM staging.deals AS deals
    LEFT JOIN patients ON patients.deal_id = deals.deal_id
    LEFT JOIN doctors ON doctors.deal_id = deals.deal_id
    LEFT JOIN staging.companies AS companies ON companies.company_id = doctors.doctor_id
    LEFT JOIN staging.stages AS stages ON stages.pipeline = deals.pipeline AND stages.stage = deals.stage
),
rated AS (
    SELECT
        deals.*,
        CASE WHEN deals.currency = home.value THEN 1 ELSE CAST(fx.rate AS DECIMAL(18, 6)) END AS rate
    FROM deals
    CROSS JOIN (SELECT value FROM _host.variables WHERE name = 'currency') AS home
    LEFT JOIN seeds.fx AS fx ON fx.month = deals.closed_month AND fx.currency = deals.currency
),
margins AS (
    SELECT
        specialty,
        gross_margin_pct,
        valid_from,
        lead(valid_from, 1, DATE '9999-12-31') OVER (PARTITION BY specialty ORDER BY valid_from) AS valid_to
    FROM seeds.margin
),
priced AS (
    SELECT
        rated.*,
        CAST(coalesce(own.gross_margin_pct, other.gross_margin_pct) AS DECIMAL(6, 4)) AS gross_margin_pct
    FROM rated
    LEFT JOIN margins AS own
        ON own.specialty = rated.specialty AND rated.closed_on >= own.valid_from AND rated.closed_on < own.valid_to
    LEFT JOIN margins AS other
        ON other.specialty = 'Unknown' AND rated.closed_on >= other.valid_from AND rated.closed_on < other.valid_to
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
    CASE WHEN status = 'won' THEN
        row_number() OVER (PARTITION BY patient_id, status ORDER BY closed_at, deal_id)
    END AS visit_no,
    status = 'won' AND row_number() OVER (PARTITION BY patient_id, status ORDER BY closed_at, deal_id) = 1 AS is_first
FROM priced
