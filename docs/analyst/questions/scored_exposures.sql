-- What is the response rate of each activity, among exposures whose window has closed?
SELECT activity_id, count(*) AS exposures, round(avg(label), 2) AS response_rate
FROM current_scored_exposures WHERE NOT censored GROUP BY activity_id ORDER BY activity_id;

-- Which activities fell off since the evaluation before?
WITH rates AS (
  SELECT activity_id, as_of, avg(label) AS rate FROM scored_exposures
  WHERE NOT censored GROUP BY activity_id, as_of
)
SELECT activity_id, as_of, round(rate, 2) AS rate, round(before, 2) AS before
FROM (SELECT *, lag(rate) OVER (PARTITION BY activity_id ORDER BY as_of) AS before FROM rates)
WHERE rate < before ORDER BY rate - before, activity_id;

-- Did the ranker promise the right number of responses, by activity?
SELECT activity_id, round(sum(ranker), 2) AS promised, sum(label) AS came
FROM current_scored_exposures WHERE NOT censored GROUP BY activity_id ORDER BY activity_id;

-- Is the response rate higher where the ranker's probability is?
SELECT floor(ranker * 5) / 5 AS probability_from, count(*) AS exposures,
  round(avg(label), 2) AS response_rate
FROM current_scored_exposures WHERE NOT censored
GROUP BY floor(ranker * 5) ORDER BY probability_from;

-- How do response rates differ between the parts of a slice?
SELECT slices['user_history'] AS user_history, count(*) AS exposures,
  round(avg(label), 2) AS response_rate
FROM current_scored_exposures WHERE NOT censored
GROUP BY slices['user_history'] ORDER BY user_history;

-- On which exposures were the ranker and the champion furthest apart, and who was right?
SELECT user_id, activity_id, ranker, champion, label,
  CASE WHEN abs(ranker - label) < abs(champion - label) THEN 'ranker' ELSE 'champion' END AS nearer
FROM current_scored_exposures WHERE champion IS NOT NULL AND NOT censored
ORDER BY abs(ranker - champion) DESC, user_id, activity_id LIMIT 3;

-- Which response rate do those have who were shown most, beside those shown once?
SELECT exposures, count(*) AS users, round(sum(answers) / sum(exposures), 2) AS response_rate
FROM (SELECT user_id, count(*) AS exposures, sum(label) AS answers
  FROM current_scored_exposures WHERE NOT censored GROUP BY user_id)
GROUP BY exposures ORDER BY exposures;

-- Do users who spent on an activity's products before answer it more often?
SELECT affinity > 0 AS bought_before, count(*) AS exposures, round(avg(label), 2) AS response_rate
FROM current_scored_exposures WHERE NOT censored GROUP BY affinity > 0 ORDER BY bought_before;

-- On which days were exposures answered?
SELECT CAST(exposure_ts AS DATE) AS day, count(*) AS exposures, sum(label) AS answers
FROM current_scored_exposures WHERE NOT censored
GROUP BY CAST(exposure_ts AS DATE) ORDER BY day;

-- How many exposures are still open, by activity?
SELECT activity_id, count_if(censored) AS open, count(*) AS exposures
FROM current_scored_exposures GROUP BY activity_id HAVING count_if(censored) > 0
ORDER BY activity_id;
