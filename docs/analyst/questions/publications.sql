-- Which publication is the current one, and since when?
SELECT run_id, as_of, published_ts, model FROM current_publication;

-- Which publication was the current one at 10:00 on 1 May 2024?
SELECT run_id, model FROM published_runs
WHERE TIMESTAMP '2024-05-01 10:00:00' BETWEEN valid_from AND valid_until;

-- When did each run become the current one, and for how many hours?
SELECT run_id, valid_from, CASE WHEN valid_until < TIMESTAMP '9999-01-01'
  THEN round(timestampdiff(MINUTE, valid_from, valid_until) / 60, 1) END AS hours
FROM published_runs ORDER BY valid_from;

-- Which publications were rollbacks to an earlier run?
SELECT run_id, published_ts FROM (
  SELECT run_id, published_ts,
    lag(run_id) OVER (ORDER BY published_ts) AS before,
    row_number() OVER (PARTITION BY run_id ORDER BY published_ts) AS time_published,
    as_of, max(as_of) OVER (ORDER BY published_ts) AS latest
  FROM publications)
WHERE time_published > 1 AND before != run_id AND as_of < latest ORDER BY published_ts;

-- How many users and recommendations did each publication have?
SELECT published_ts, run_id, users, recommendations, round(recommendations / users, 2) AS per_user
FROM publications ORDER BY published_ts;

-- By how many users did each publication differ from the one before?
SELECT published_ts, run_id, users - lag(users) OVER (ORDER BY published_ts) AS more_users
FROM publications ORDER BY published_ts;

-- Which model versions have been published, and when first?
SELECT model, min(published_ts) AS first_published, count(DISTINCT run_id) AS runs
FROM publications GROUP BY model ORDER BY first_published;

-- How many days old were the data at each publication?
SELECT published_ts, run_id, datediff(CAST(published_ts AS DATE), as_of) AS days_old
FROM publications ORDER BY published_ts;

-- On which days between the first and the last publication was nothing published?
SELECT day FROM (
  SELECT explode(sequence(min(CAST(published_ts AS DATE)), max(CAST(published_ts AS DATE)))) AS day
  FROM publications)
WHERE day NOT IN (SELECT CAST(published_ts AS DATE) FROM publications)
ORDER BY day LIMIT 5;

-- Do the rows that are there agree with the counts of the current publication?
SELECT p.run_id, p.recommendations AS counted, count(r.user_id) AS there
FROM current_publication p LEFT JOIN recommendations r ON r.run_id = p.run_id
GROUP BY p.run_id, p.recommendations;
