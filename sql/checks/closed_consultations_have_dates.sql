-- One row per won or refunded deal without a close date, or with a close date after the load.
SELECT consultations.deal_id, consultations.closed_on
FROM core.fct_consultation AS consultations
CROSS JOIN core.settings AS settings
WHERE consultations.status IN ('won', 'refunded')
    AND (consultations.closed_on IS NULL OR consultations.closed_on > settings.loaded_on)
