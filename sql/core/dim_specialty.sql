-- One row per medical specialty of a doctor or of the seed `margin`. `Unknown` has the key -1.
SELECT
    CASE WHEN specialty = 'Unknown' THEN -1 ELSE row_number() OVER (ORDER BY specialty) END AS specialty_key,
    specialty
FROM (SELECT specialty FROM core.dim_doctor UNION SELECT specialty FROM seeds.margin)
