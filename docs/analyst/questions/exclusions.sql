-- Which rule keeps most activities out of lists?
SELECT rule, count(*) AS exclusions, count(DISTINCT user_id) AS users
FROM current_exclusions GROUP BY rule ORDER BY exclusions DESC, rule;

-- Why does user u4 not get activity a?
SELECT rule, detail, rank, probability FROM current_exclusions
WHERE user_id = 'u4' AND activity_id = 'a';

-- Which users get no list at all, and because of which rules?
SELECT user_id, array_join(sort_array(collect_set(rule)), ', ') AS rules
FROM current_exclusions
WHERE user_id NOT IN (SELECT user_id FROM current_recommendations)
GROUP BY user_id ORDER BY user_id;

-- Which activities lose most users, and to which rule?
SELECT activity_id, rule, count(*) AS users FROM current_exclusions
GROUP BY activity_id, rule ORDER BY users DESC, activity_id, rule;

-- How many users would have had an excluded activity in first place?
SELECT activity_id, count(*) AS users FROM current_exclusions
WHERE rank = 1 GROUP BY activity_id ORDER BY users DESC, activity_id;

-- How many expected responses does each rule cost?
SELECT rule, round(sum(probability), 2) AS responses FROM current_exclusions
GROUP BY rule ORDER BY responses DESC, rule;

-- Which consent is missing most often?
SELECT detail, count(*) AS exclusions, count(DISTINCT user_id) AS users
FROM current_exclusions WHERE rule = 'consent' GROUP BY detail ORDER BY users DESC, detail;

-- Which exclusions are new since the publication before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
)
SELECT n.user_id, n.activity_id, n.rule FROM current_exclusions n
LEFT ANTI JOIN (SELECT * FROM exclusions WHERE run_id = (SELECT run_id FROM earlier)) o
  ON o.user_id = n.user_id AND o.activity_id = n.activity_id AND o.rule = n.rule
ORDER BY n.user_id, n.activity_id;

-- How many of the users whom the frequency cap hits have a list of other activities?
SELECT e.activity_id, count(*) AS capped, count(r.user_id) AS with_another_activity
FROM current_exclusions e
LEFT JOIN (SELECT DISTINCT user_id FROM current_recommendations) r USING (user_id)
WHERE e.rule = 'frequency_cap' GROUP BY e.activity_id ORDER BY e.activity_id;

-- How did the number of exclusions by rule change from run to run?
SELECT as_of, rule, count(*) AS exclusions FROM exclusions
GROUP BY as_of, rule ORDER BY as_of, rule;
