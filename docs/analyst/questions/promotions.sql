-- Which model is in use, and since when?
SELECT challenger AS model, decided_ts FROM promotions
WHERE decision IN ('promoted', 'rolled_back') ORDER BY decided_ts DESC LIMIT 1;

-- What did the gate check before the model in use was promoted?
SELECT check_name, value, bound, passed, reason FROM current_promotions ORDER BY check_name;

-- Which challengers were refused, and why?
SELECT challenger, check_name, reason FROM promotions
WHERE decision = 'kept' AND NOT passed ORDER BY decided_ts, check_name;

-- How many challengers were promoted and how many were not?
SELECT decision, count(DISTINCT run_id, decided_ts) AS decisions FROM promotions
GROUP BY decision ORDER BY decision;

-- How long was each champion in use?
SELECT model, since, datediff(lead(since) OVER (ORDER BY since), since) AS days FROM (
  SELECT DISTINCT challenger AS model, decided_ts AS since FROM promotions
  WHERE decision IN ('promoted', 'rolled_back')) ORDER BY since;

-- Which check fails most often?
SELECT check_name, count_if(NOT passed) AS failed, count(*) AS times FROM promotions
GROUP BY check_name ORDER BY failed DESC, check_name;

-- How did the challengers' AUC develop?
SELECT decided_ts, challenger, value, bound FROM promotions
WHERE check_name = 'auc' ORDER BY decided_ts;

-- How narrowly did each check hold or fail?
SELECT challenger, check_name, round(value - bound, 3) AS above_bound, passed FROM promotions
WHERE bound IS NOT NULL ORDER BY abs(value - bound), challenger, check_name LIMIT 5;

-- Which publications use a model that the gate did not promote?
SELECT DISTINCT p.run_id, p.model FROM publications p
WHERE p.model NOT IN (SELECT challenger FROM promotions WHERE decision != 'kept')
ORDER BY p.run_id;

-- Was there ever a rollback to an earlier model?
SELECT count(DISTINCT decided_ts) AS rollbacks FROM promotions WHERE decision = 'rolled_back';
