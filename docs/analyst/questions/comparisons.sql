-- Is the ranker better than popularity, on the same users?
SELECT metric, population, difference, low, high FROM current_comparisons
WHERE model = 'ranker' AND baseline = 'popularity' AND slice = 'all' ORDER BY metric;

-- Which differences are sure, because their interval leaves out 0?
SELECT model, baseline, metric, difference FROM current_comparisons
WHERE slice = 'all' AND (low > 0 OR high < 0) ORDER BY abs(difference) DESC, model, metric;

-- Where is a baseline ahead of the ranker?
SELECT baseline, metric, difference, low, high FROM current_comparisons
WHERE model = 'ranker' AND slice = 'all' AND difference < 0 ORDER BY difference, baseline;

-- Is the ranker under test better than the champion in use?
SELECT metric, difference, low, high,
  CASE WHEN low > 0 THEN 'better' WHEN high < 0 THEN 'worse' ELSE 'not told apart' END AS verdict
FROM current_comparisons WHERE model = 'ranker' AND baseline = 'champion' AND slice = 'all'
ORDER BY metric;

-- For which type of activity does the ranker gain most over popularity?
SELECT slice_value AS activity_type, difference, low, high FROM current_comparisons
WHERE model = 'ranker' AND baseline = 'popularity' AND metric = 'auc' AND slice = 'activity_type'
ORDER BY difference DESC;

-- What do diversified lists lose, and gain?
SELECT metric, difference, low, high FROM current_comparisons
WHERE model = 'diversified' AND baseline = 'ranker' ORDER BY metric;

-- How did the lead over popularity develop from run to run?
SELECT as_of, difference, low, high FROM comparisons
WHERE model = 'ranker' AND baseline = 'popularity' AND metric = 'auc' AND slice = 'all'
ORDER BY as_of;

-- Against how many baselines does the ranker win, tie and lose, by metric?
SELECT metric, count_if(low > 0) AS wins, count_if(low <= 0 AND high >= 0) AS ties,
  count_if(high < 0) AS losses
FROM current_comparisons WHERE model = 'ranker' AND slice = 'all' GROUP BY metric ORDER BY metric;

-- Which comparisons need more data: where is the interval wider than twice the difference?
SELECT model, baseline, metric, difference, round(high - low, 3) AS width
FROM current_comparisons WHERE slice = 'all' AND high - low > 2 * abs(difference)
ORDER BY width DESC, model, baseline, metric;

-- Which verdicts changed since the evaluation before?
SELECT model, baseline, metric, slice_value, before, now FROM (
  SELECT *, CASE WHEN low > 0 THEN 'better' WHEN high < 0 THEN 'worse' ELSE 'even' END AS now,
    lag(CASE WHEN low > 0 THEN 'better' WHEN high < 0 THEN 'worse' ELSE 'even' END) OVER (
      PARTITION BY model, baseline, metric, population, k, slice, slice_value ORDER BY as_of)
      AS before
  FROM comparisons)
WHERE before != now ORDER BY model, baseline, metric;
