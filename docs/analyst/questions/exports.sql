-- Which publication does each target have?
SELECT target, table_name, max_by(run_id, exported_ts) AS run_id, max(exported_ts) AS exported_ts
FROM exports GROUP BY target, table_name ORDER BY target, table_name;

-- Which targets do not have the current publication yet?
SELECT DISTINCT target, table_name FROM exports e
WHERE NOT EXISTS (
  SELECT 1 FROM exports n JOIN current_publication p
    ON n.run_id = p.run_id AND n.published_ts = p.published_ts
  WHERE n.target = e.target AND n.table_name = e.table_name)
ORDER BY target, table_name;

-- How many minutes after its publication did each export begin?
SELECT target, table_name, run_id,
  timestampdiff(MINUTE, published_ts, exported_ts) AS minutes
FROM exports ORDER BY exported_ts, target, table_name;

-- Which targets are slowest on average?
SELECT target, round(avg(timestampdiff(MINUTE, published_ts, exported_ts)), 1) AS minutes
FROM exports GROUP BY target ORDER BY minutes DESC, target;

-- Did each target get as many rows as were published?
SELECT e.target, e.table_name, e.rows, CASE e.table_name
  WHEN 'recommendations' THEN p.recommendations ELSE p.audiences END AS published
FROM exports e JOIN publications p ON p.run_id = e.run_id AND p.published_ts = e.published_ts
ORDER BY e.exported_ts, e.target, e.table_name;

-- Which publications were exported nowhere?
SELECT p.run_id, p.published_ts FROM publications p
LEFT ANTI JOIN exports e ON e.run_id = p.run_id AND e.published_ts = p.published_ts
ORDER BY p.published_ts;

-- How many rows went to each target on each day?
SELECT CAST(exported_ts AS DATE) AS day, target, sum(rows) AS rows FROM exports
GROUP BY CAST(exported_ts AS DATE), target ORDER BY day, target;

-- Which targets have tables of two different publications?
SELECT target, count(DISTINCT run_id) AS runs FROM (
  SELECT target, table_name, max_by(run_id, exported_ts) AS run_id
  FROM exports GROUP BY target, table_name)
GROUP BY target HAVING count(DISTINCT run_id) > 1 ORDER BY target;

-- What changed in the number of rows that a target has, from export to export?
SELECT target, table_name, exported_ts, rows - lag(rows) OVER (
  PARTITION BY target, table_name ORDER BY exported_ts) AS more_rows
FROM exports ORDER BY target, table_name, exported_ts;

-- How long has each target been without a new publication, seen from the current one?
SELECT e.target, datediff(max(p.published_ts), max(e.published_ts)) AS days_behind
FROM exports e CROSS JOIN current_publication p
GROUP BY e.target ORDER BY days_behind DESC, e.target;
