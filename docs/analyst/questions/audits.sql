-- What did the audit of the current publication look at?
SELECT check_name, value, bound, passed FROM audits
WHERE run_id = (SELECT run_id FROM current_publication) ORDER BY check_name;

-- Which runs failed their audit, and why?
SELECT run_id, check_name, reason FROM audits WHERE NOT passed ORDER BY run_id, check_name;

-- How do the scores drift from publication to publication?
SELECT as_of, run_id, value AS score_psi, bound FROM audits
WHERE check_name = 'score_psi' ORDER BY audited_ts;

-- Which share of the lists changed at each publication?
SELECT as_of, value AS changed_lists FROM audits
WHERE check_name = 'changed_lists' ORDER BY audited_ts;

-- Which checks come closest to their limit? (1: at the limit; limits from above alone)
SELECT run_id, check_name, round(value / bound, 2) AS used FROM audits
WHERE check_name IN ('score_psi', 'changed_lists', 'changed_first') AND bound > 0
ORDER BY used DESC, run_id LIMIT 5;

-- How often did each check fail?
SELECT check_name, count(*) AS times, count_if(NOT passed) AS failed FROM audits
GROUP BY check_name ORDER BY failed DESC, check_name;

-- Who was rolled back, and when?
SELECT audited_ts, run_id AS back_to, reason FROM audits
WHERE check_name = 'rollback' ORDER BY audited_ts;

-- Which audited runs never became a publication?
SELECT DISTINCT run_id, as_of FROM audits
WHERE run_id NOT IN (SELECT run_id FROM publications) ORDER BY as_of;

-- Which share of the users had a list, run by run?
SELECT as_of, value AS user_coverage, bound FROM audits
WHERE check_name = 'user_coverage' ORDER BY audited_ts;

-- When was the last audit, and did all of it hold?
SELECT run_id, audited_ts, bool_and(passed) AS passed, count(*) AS checks FROM audits
WHERE audited_ts = (SELECT max(audited_ts) FROM audits) GROUP BY run_id, audited_ts;
