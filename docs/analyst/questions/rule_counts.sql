-- How many users does each rule keep an activity from, in the current publication?
SELECT rule, sum(users) AS users FROM current_rule_counts GROUP BY rule ORDER BY users DESC, rule;

-- Which rule excludes most for each activity?
SELECT activity_id, max_by(rule, (users, rule)) AS rule, max(users) AS users
FROM current_rule_counts GROUP BY activity_id ORDER BY activity_id;

-- How do the counts of a rule develop from run to run?
SELECT as_of, sum(users) AS users FROM rule_counts
WHERE rule = 'frequency_cap' GROUP BY as_of ORDER BY as_of;

-- Which rules hit in the current publication that hit nobody in the one before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
)
SELECT DISTINCT rule FROM current_rule_counts WHERE rule NOT IN (
  SELECT rule FROM rule_counts WHERE run_id = (SELECT run_id FROM earlier)) ORDER BY rule;

-- Which share of all exclusions does each rule have?
SELECT rule, round(sum(users) / sum(sum(users)) OVER (), 2) AS share
FROM current_rule_counts GROUP BY rule ORDER BY share DESC, rule;

-- How many are excluded from an activity for each user who gets it?
SELECT c.activity_id, c.excluded, coalesce(r.listed, 0) AS listed,
  round(c.excluded / r.listed, 2) AS excluded_per_listed
FROM (SELECT activity_id, sum(users) AS excluded FROM current_rule_counts GROUP BY activity_id) c
LEFT JOIN (SELECT activity_id, count(*) AS listed FROM current_recommendations
  GROUP BY activity_id) r ON r.activity_id = c.activity_id
ORDER BY c.activity_id;

-- Which activities of which channel lack consent?
SELECT a.channel, a.name, c.users FROM current_rule_counts c JOIN activities a USING (activity_id)
WHERE c.rule = 'consent' ORDER BY c.users DESC, a.name;

-- Which activities ran out of places?
SELECT a.name, a.budget, c.users AS turned_away
FROM current_rule_counts c JOIN activities a USING (activity_id)
WHERE c.rule = 'inventory' ORDER BY turned_away DESC, a.name;

-- Which rules never hit in the last two runs?
SELECT rule FROM VALUES ('blocked'), ('target_group'), ('consent'), ('answered'), ('frequency_cap'),
  ('inventory'), ('max_per_type'), ('contact_limit'), ('displaced') AS known(rule)
WHERE rule NOT IN (SELECT rule FROM rule_counts WHERE run_id IN (
  SELECT run_id FROM publications GROUP BY run_id ORDER BY max(published_ts) DESC LIMIT 2))
ORDER BY rule;

-- By how much did each rule's count change since the publication before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
)
SELECT rule,
  sum(CASE WHEN run_id = (SELECT run_id FROM current_publication) THEN users ELSE 0 END)
  - sum(CASE WHEN run_id = (SELECT run_id FROM earlier) THEN users ELSE 0 END) AS change
FROM rule_counts GROUP BY rule ORDER BY change DESC, rule;
