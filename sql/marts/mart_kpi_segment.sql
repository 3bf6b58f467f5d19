-- One row per month, channel and specialty: the figures of mart_kpi_month that can be summed. The specialty is the
-- consultation's own.
SELECT
    consultations.closed_month AS month,
    coalesce(patients.channel, 'Unknown') AS channel,
    consultations.specialty,
    sum(consultations.amount_home - consultations.refund_home) AS revenue,
    sum(consultations.margin) AS margin,
    count(*) FILTER (WHERE consultations.status = 'won') AS consultations,
    count(*) FILTER (WHERE consultations.is_first) AS new_patients
FROM core.fct_consultation AS consultations
LEFT JOIN core.dim_patient AS patients ON patients.patient_id = consultations.patient_id
WHERE consultations.status IN ('won', 'refunded') AND consultations.closed_month IS NOT NULL
GROUP BY ALL
