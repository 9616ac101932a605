-- Which inputs of the ranker raise an alarm?
SELECT name, alarm, psi FROM current_input_checks
WHERE kind = 'input' AND alarm IS NOT NULL ORDER BY name;

-- Which inputs drifted most from the training examples?
SELECT name, psi, js FROM current_input_checks WHERE kind = 'input' ORDER BY psi DESC, name LIMIT 3;

-- Which inputs weigh most?
SELECT name, importance FROM current_input_checks
WHERE kind = 'input' ORDER BY abs(importance) DESC NULLS LAST, name LIMIT 3;

-- Which inputs tell less than they did in training?
SELECT name, auc_before, auc_after FROM current_input_checks
WHERE kind = 'input' AND abs(auc_after - 0.5) < abs(auc_before - 0.5)
ORDER BY abs(auc_before - 0.5) - abs(auc_after - 0.5) DESC, name;

-- Which inputs turned round: helped in training, mislead since?
SELECT name, auc_before, auc_after FROM current_input_checks
WHERE kind = 'input' AND (auc_before - 0.5) * (auc_after - 0.5) < 0 ORDER BY name;

-- Have the scores of the models drifted?
SELECT name AS model, psi, js FROM current_input_checks WHERE kind = 'score' ORDER BY psi DESC, name;

-- How did the drift of each input grow since the run before?
SELECT name, before, psi FROM (
  SELECT name, run_id, psi, lag(psi) OVER (PARTITION BY kind, name ORDER BY as_of) AS before
  FROM input_checks WHERE kind = 'input')
WHERE run_id = (SELECT run_id FROM current_publication) AND psi > before
ORDER BY psi - before DESC, name;

-- Which inputs could be left out: they weigh little and tell little?
SELECT name, importance, auc_after FROM current_input_checks
WHERE kind = 'input' AND abs(importance) < 0.25 AND abs(auc_after - 0.5) < 0.05 ORDER BY name;

-- By how much does each model's AUC differ between training and later?
SELECT name AS model, auc_before, auc_after, round(auc_after - auc_before, 3) AS change
FROM current_input_checks WHERE kind = 'score' ORDER BY change, name;

-- How many inputs are stable, moving and shifted, by the usual limits of PSI (0.1 and 0.25)?
SELECT CASE WHEN psi < 0.1 THEN 'stable' WHEN psi <= 0.25 THEN 'moving' ELSE 'shifted' END AS state,
  count(*) AS inputs
FROM current_input_checks WHERE kind = 'input' GROUP BY 1 ORDER BY state;
