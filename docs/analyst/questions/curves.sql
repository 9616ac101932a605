-- Does the ranker keep what it promises: answered share beside mean score, bin by bin?
SELECT bin, mean_score, rate, low, high FROM current_curves
WHERE model = 'ranker' AND population = 'all' AND curve = 'calibration' ORDER BY bin;

-- In which bins is the promise outside of the interval of what came?
SELECT model, bin, mean_score, low, high FROM current_curves
WHERE curve = 'calibration' AND population = 'all' AND NOT mean_score BETWEEN low AND high
ORDER BY model, bin;

-- Which share of all answers is in the best 30 % of the exposures, by model?
SELECT model, captured FROM current_curves
WHERE curve = 'gain' AND population = 'all' AND bin = 3 ORDER BY captured DESC, model;

-- How many tenths of the exposures must be sent to get 80 % of the answers?
SELECT model, min(bin) AS tenths FROM current_curves
WHERE curve = 'gain' AND population = 'all' AND captured >= 0.8 GROUP BY model ORDER BY tenths, model;

-- How much better than chance is the best tenth?
SELECT model, lift, rate, rows FROM current_curves
WHERE curve = 'gain' AND population = 'all' AND bin = 1 ORDER BY lift DESC, model;

-- Where does the ranker's gain end: which tenths answer less than the average?
SELECT bin, lift, rate FROM current_curves
WHERE model = 'ranker' AND curve = 'gain' AND population = 'all' AND lift < 1 ORDER BY bin;

-- How many more answers than popularity does the ranker find, tenth by tenth?
SELECT r.bin, r.captured AS ranker, p.captured AS popularity,
  round(r.captured - p.captured, 3) AS more
FROM current_curves r JOIN current_curves p
  ON p.bin = r.bin AND p.curve = r.curve AND p.population = r.population
WHERE r.model = 'ranker' AND p.model = 'popularity' AND r.curve = 'gain' AND r.population = 'all'
ORDER BY r.bin;

-- On average over the bins, how far are the probabilities off, weighted by exposures?
SELECT model, round(sum(rows * abs(mean_score - rate)) / sum(rows), 3) AS error
FROM current_curves WHERE curve = 'calibration' AND population = 'all'
GROUP BY model ORDER BY error, model;

-- Did the share of answers in the best tenth change since the run before?
SELECT as_of, captured FROM curves
WHERE model = 'ranker' AND curve = 'gain' AND population = 'all' AND bin = 1 ORDER BY as_of;

-- Which bins rest on few users?
SELECT model, bin, users, positives FROM current_curves
WHERE curve = 'calibration' AND population = 'all' AND users < 100 ORDER BY users, model, bin;
