-- What is wrong today?
SELECT check_name, name, value, bound, reason FROM current_monitoring
WHERE NOT passed ORDER BY check_name, name;

-- On how many days did each check fail?
SELECT check_name, name, count_if(NOT passed) AS failed, count(passed) AS made FROM monitoring
GROUP BY check_name, name ORDER BY failed DESC, check_name, name;

-- Which checks could not be made, and what is lacking?
SELECT as_of, check_name, name, reason FROM monitoring
WHERE passed IS NULL ORDER BY as_of, check_name, name;

-- Which inputs of the ranker drift most?
SELECT name AS input, value AS psi FROM current_monitoring
WHERE check_name = 'input_psi' ORDER BY psi DESC;

-- How did an input drift over time?
SELECT as_of, value AS psi, bound FROM monitoring
WHERE check_name = 'input_psi' AND name = 'purchase_recency' ORDER BY as_of;

-- How do the scores of publications drift?
SELECT as_of, value AS psi, bound, passed FROM monitoring
WHERE check_name = 'score_psi' ORDER BY as_of;

-- Which activity types lose responses?
SELECT name AS activity_type, value AS times_the_rate_before FROM current_monitoring
WHERE check_name = 'response_rate' AND name <> 'all' AND value < 1 ORDER BY value;

-- Do the published probabilities hold?
SELECT as_of, value AS promised_divided_by_came, bound FROM monitoring
WHERE check_name = 'calibration' ORDER BY as_of;

-- Which checks are closest to an alarm? (of those with a limit from above; 1: at the limit)
SELECT check_name, name, round(value / bound, 2) AS used FROM current_monitoring
WHERE passed AND check_name <> 'response_rate' ORDER BY used DESC LIMIT 5;

-- On which days was there an alarm?
SELECT as_of, count_if(NOT passed) AS alarms FROM monitoring
GROUP BY as_of HAVING count_if(NOT passed) > 0 ORDER BY as_of;
