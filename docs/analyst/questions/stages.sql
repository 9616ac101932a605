-- Which stages failed, and why?
SELECT ended_ts, run_id, stage, error FROM stages WHERE status = 'failed' ORDER BY ended_ts DESC;

-- How long did each stage of the last run take?
SELECT stage, seconds FROM stages
WHERE run_id = (SELECT max_by(run_id, ended_ts) FROM stages) ORDER BY ended_ts;

-- Which stage takes the longest, on average?
SELECT stage, round(avg(seconds), 1) AS mean_seconds, count(*) AS times FROM stages
WHERE status = 'done' GROUP BY stage ORDER BY mean_seconds DESC;

-- Is a stage slower than it was at the run before?
SELECT run_id, stage, seconds,
       round(seconds / lag(seconds) OVER (PARTITION BY stage ORDER BY ended_ts), 2) AS times_as_long
FROM stages WHERE status = 'done' ORDER BY ended_ts DESC LIMIT 5;

-- How many rows did each run recommend?
SELECT as_of, run_id, rows['recommendations'] AS recommendations FROM stages
WHERE stage = 'recommend' ORDER BY ended_ts;

-- On which days did fewer events come in than half of the day before?
SELECT as_of, events, before FROM (
  SELECT as_of, rows['events'] AS events,
         lag(rows['events']) OVER (ORDER BY ended_ts) AS before
  FROM stages WHERE stage = 'ingest' AND status = 'done')
WHERE events < before / 2 ORDER BY as_of;

-- At what time of the day were lists published?
SELECT as_of, date_format(ended_ts, 'HH:mm') AS published FROM stages
WHERE stage = 'publish' AND status = 'done' ORDER BY ended_ts;

-- Which runs were not finished?
SELECT run_id, max_by(stage, ended_ts) AS last_stage, max_by(status, ended_ts) AS status
FROM stages GROUP BY run_id HAVING NOT bool_or(stage = 'publish' AND status = 'done')
ORDER BY run_id;

-- What did the monitor raise?
SELECT ended_ts, error FROM stages WHERE status = 'alarm' ORDER BY ended_ts DESC;

-- Did the configuration change between runs?
SELECT run_id, min(configuration) AS configuration, count(DISTINCT configuration) AS configurations
FROM stages GROUP BY run_id ORDER BY run_id;
