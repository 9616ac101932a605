-- How many users does each activity reach?
SELECT a.name, count(*) AS users FROM current_audiences u JOIN activities a USING (activity_id)
GROUP BY a.name ORDER BY users DESC, a.name;

-- Who are the three best users of activity a?
SELECT rank, user_id, round(probability, 2) AS probability
FROM current_audiences WHERE activity_id = 'a' AND rank <= 3 ORDER BY rank;

-- How many responses may be expected if each activity is sent to its whole audience?
SELECT activity_id, count(*) AS users, round(sum(probability), 2) AS responses
FROM current_audiences GROUP BY activity_id ORDER BY responses DESC, activity_id;

-- How deep into its audience does each activity reach a probability of at least 30 %?
SELECT activity_id, count_if(probability >= 0.3) AS users_above, count(*) AS users
FROM current_audiences GROUP BY activity_id ORDER BY users_above DESC, activity_id;

-- What does it cost to send each activity to its audience, and what per expected response?
SELECT u.activity_id, round(count(*) * max(coalesce(a.cost, 0)), 2) AS cost,
  round(count(*) * max(coalesce(a.cost, 0)) / sum(u.probability), 2) AS cost_per_response
FROM current_audiences u JOIN activities a USING (activity_id)
GROUP BY u.activity_id ORDER BY cost DESC, u.activity_id;

-- Which users are in more than one audience?
SELECT user_id, count(*) AS audiences, array_join(sort_array(collect_list(activity_id)), ', ')
  AS activities
FROM current_audiences GROUP BY user_id HAVING count(*) > 1 ORDER BY audiences DESC, user_id;

-- How much do the audiences of every two activities overlap?
SELECT l.activity_id AS activity, r.activity_id AS other, count(*) AS users
FROM current_audiences l JOIN current_audiences r
  ON l.user_id = r.user_id AND l.activity_id < r.activity_id
GROUP BY l.activity_id, r.activity_id ORDER BY users DESC, activity, other;

-- Which audiences grew or shrank since the publication before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
)
SELECT activity_id,
  count_if(run_id = (SELECT run_id FROM earlier)) AS before,
  count_if(run_id = (SELECT run_id FROM current_publication)) AS now
FROM audiences GROUP BY activity_id ORDER BY activity_id;

-- Who came into the audience of activity a, and who left it, since the publication before?
WITH earlier AS (
  SELECT run_id FROM publications WHERE run_id != (SELECT run_id FROM current_publication)
  ORDER BY published_ts DESC LIMIT 1
), before AS (
  SELECT user_id FROM audiences
  WHERE activity_id = 'a' AND run_id = (SELECT run_id FROM earlier)
), now AS (SELECT user_id FROM current_audiences WHERE activity_id = 'a')
SELECT coalesce(n.user_id, b.user_id) AS user_id,
  CASE WHEN b.user_id IS NULL THEN 'came' ELSE 'left' END AS change
FROM now n FULL JOIN before b ON n.user_id = b.user_id
WHERE n.user_id IS NULL OR b.user_id IS NULL ORDER BY user_id;

-- Which share of an activity's audience has it in first place of their own list?
SELECT u.activity_id, round(avg(CAST(r.rank <=> 1 AS INT)), 2) AS first_choice
FROM current_audiences u LEFT JOIN current_recommendations r
  ON r.user_id = u.user_id AND r.activity_id = u.activity_id
GROUP BY u.activity_id ORDER BY first_choice DESC, u.activity_id;
