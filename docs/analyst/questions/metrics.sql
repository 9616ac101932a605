-- How good is each model on the exposures after as_of?
SELECT model, metric, value, low, high FROM current_metrics
WHERE slice = 'all' AND population = 'all' AND metric IN ('auc', 'average_precision')
ORDER BY metric, value DESC, model;

-- How did the ranker's AUC develop from run to run?
SELECT as_of, value, low, high FROM metric_trend
WHERE model = 'ranker' AND metric = 'auc' AND population = 'all' ORDER BY as_of;

-- Which figures of the ranker got worse since the run before? (log_loss and errors: less is better)
SELECT metric, population, value, before FROM (
  SELECT as_of, metric, population, value, run_id,
    lag(value) OVER (PARTITION BY metric, population, k ORDER BY as_of) AS before
  FROM metric_trend WHERE model = 'ranker')
WHERE run_id = (SELECT run_id FROM current_publication)
  AND CASE WHEN metric IN ('log_loss', 'calibration_error') THEN value > before
    ELSE value < before END
ORDER BY metric, population;

-- For which groups of users or activities is the ranker worse than on the whole?
SELECT slice, slice_value, value, low, high FROM current_metrics
WHERE model = 'ranker' AND metric = 'auc' AND differs
  AND value < (SELECT max(value) FROM current_metrics WHERE model = 'ranker' AND metric = 'auc'
    AND slice = 'all' AND population = 'all')
ORDER BY slice, slice_value;

-- Is the ranker ahead of popularity for each type of activity?
SELECT r.slice_value AS activity_type, r.value AS ranker, p.value AS popularity
FROM current_metrics r JOIN current_metrics p
  ON p.metric = r.metric AND p.population = r.population AND p.slice = r.slice
  AND p.slice_value = r.slice_value
WHERE r.model = 'ranker' AND p.model = 'popularity' AND r.metric = 'auc'
  AND r.slice = 'activity_type' ORDER BY activity_type;

-- Which share of the activities do the lists of each model cover?
SELECT model, value AS coverage FROM current_metrics
WHERE metric = 'activity_coverage@3' AND slice = 'all' ORDER BY coverage DESC, model;

-- How true are the probabilities of each model?
SELECT model, value AS calibration_error FROM current_metrics
WHERE metric = 'calibration_error' AND population = 'all' AND slice = 'all'
ORDER BY calibration_error, model;

-- What does diversity cost, and what does it give?
SELECT metric, max(value) FILTER (WHERE model = 'ranker') AS ranker,
  max(value) FILTER (WHERE model = 'diversified') AS diversified
FROM current_metrics WHERE slice = 'all' AND metric IN ('ndcg@3', 'diversity@3')
GROUP BY metric ORDER BY metric;

-- How many exposures and answers stand behind the figures of each population?
SELECT population, max(rows) AS rows, max(positives) AS positives FROM current_metrics
WHERE slice = 'all' GROUP BY population ORDER BY population;

-- For which models are the intervals of AUC too wide to tell them from the ranker?
SELECT m.model, m.low, m.high FROM current_metrics m JOIN current_metrics r
  ON r.metric = m.metric AND r.population = m.population AND r.slice = m.slice
WHERE r.model = 'ranker' AND m.model != 'ranker' AND m.metric = 'auc' AND m.slice = 'all'
  AND m.population = 'all' AND m.high >= r.low AND m.low <= r.high ORDER BY m.model;
