-- How many users have each activity in their list, and how many in first place?
SELECT activity_id, count(*) AS users, count_if(rank = 1) AS first_places
FROM current_recommendations GROUP BY activity_id ORDER BY users DESC, activity_id;

-- What is recommended to user u1, and why?
SELECT rank, a.name, round(r.probability, 2) AS probability, r.reason_text['en'] AS reason
FROM current_recommendations r JOIN activities a USING (activity_id)
WHERE r.user_id = 'u1' ORDER BY rank;

-- Which users have another first activity than in the publication before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
)
SELECT n.user_id, o.activity_id AS before, n.activity_id AS now
FROM current_recommendations n
LEFT JOIN (SELECT * FROM recommendations WHERE run_id = (SELECT run_id FROM earlier)) o
  ON o.user_id = n.user_id AND o.rank = 1
WHERE n.rank = 1 AND NOT (o.activity_id <=> n.activity_id) ORDER BY n.user_id;

-- How long are the lists: how many users have one, two, three activities?
SELECT activities, count(*) AS users
FROM (SELECT user_id, count(*) AS activities FROM current_recommendations GROUP BY user_id)
GROUP BY activities ORDER BY activities;

-- Which live or planned activities are in nobody's list?
SELECT a.activity_id, a.name, a.start_ts
FROM activities a JOIN current_publication p ON a.end_ts IS NULL OR a.end_ts > p.as_of
WHERE NOT EXISTS (
  SELECT 1 FROM current_recommendations r WHERE r.activity_id = a.activity_id)
ORDER BY a.activity_id;

-- How many responses does each activity expect, and which value?
SELECT activity_id, round(sum(probability), 2) AS responses,
  round(sum(expected_value), 2) AS expected_value
FROM current_recommendations GROUP BY activity_id
ORDER BY expected_value DESC NULLS LAST, activity_id;

-- Which reason leads most often, by activity type?
SELECT a.activity_type, reason_codes[0].code AS first_reason, count(*) AS recommendations
FROM current_recommendations r JOIN activities a USING (activity_id)
WHERE size(reason_codes) > 0
GROUP BY a.activity_type, reason_codes[0].code
ORDER BY a.activity_type, recommendations DESC, first_reason;

-- Which products are recommended most often inside the activities?
SELECT product_id, max(p.name) AS product, count(*) AS recommendations
FROM (SELECT explode(products) AS product_id FROM current_recommendations)
LEFT JOIN products p USING (product_id)
GROUP BY product_id ORDER BY recommendations DESC, product_id;

-- Which share of the places was drawn by chance, by rank?
SELECT rank, count(*) AS places, round(avg(CAST(propensity < 1 AS INT)), 2) AS explored
FROM current_recommendations GROUP BY rank ORDER BY rank;

-- What was published for user u2 at noon on 25 April 2024?
SELECT run_id, rank, activity_id, probability FROM published_recommendations
WHERE user_id = 'u2' AND TIMESTAMP '2024-04-25 12:00:00' BETWEEN valid_from AND valid_until
ORDER BY rank;
