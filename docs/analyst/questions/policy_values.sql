-- What response rate would the recommended lists have had?
SELECT estimator, value, low, high FROM current_policy_values
WHERE policy = 'recommended' AND value IS NOT NULL ORDER BY estimator;

-- How much better is that than what was sent?
SELECT r.estimator, round(r.value - l.value, 3) AS gain, round(r.value / l.value - 1, 2) AS relative
FROM current_policy_values r JOIN current_policy_values l
  ON l.policy = 'logging' AND l.estimator = 'on_policy'
WHERE r.policy = 'recommended' AND r.value IS NOT NULL ORDER BY r.estimator;

-- Is the gain sure: is the whole interval above what was sent?
SELECT r.policy, r.estimator, r.low, l.value AS logged, r.low > l.value AS sure
FROM current_policy_values r JOIN current_policy_values l
  ON l.policy = 'logging' AND l.estimator = 'on_policy'
WHERE r.policy != 'logging' AND r.value IS NOT NULL ORDER BY r.policy, r.estimator;

-- Which estimates were refused, and why?
SELECT policy, estimator, refusal FROM current_policy_values
WHERE refusal IS NOT NULL ORDER BY policy, estimator;

-- How many exposures are the estimates worth?
SELECT policy, estimator, rows, effective_sample_size,
  round(effective_sample_size / rows, 2) AS share
FROM current_policy_values WHERE policy != 'logging' ORDER BY share, policy, estimator;

-- Does the log support the policies: are mean weights near 1?
SELECT policy, estimator, mean_weight, abs(mean_weight - 1) <= 0.1 AS supported
FROM current_policy_values WHERE policy != 'logging' ORDER BY policy, estimator;

-- How do the recommended lists compare with the most popular activities, by the same estimator?
SELECT r.estimator, r.value AS recommended, p.value AS popularity
FROM current_policy_values r JOIN current_policy_values p ON p.estimator = r.estimator
WHERE r.policy = 'recommended' AND p.policy = 'popularity' ORDER BY r.estimator;

-- Do the estimators agree about the recommended lists?
SELECT round(min(value), 3) AS least, round(max(value), 3) AS most,
  max(low) <= min(high) AS intervals_overlap
FROM current_policy_values WHERE policy = 'recommended' AND value IS NOT NULL;

-- How did the estimated value develop from run to run?
SELECT as_of, value, low, high FROM policy_values
WHERE policy = 'recommended' AND estimator = 'dr' ORDER BY as_of;

-- Which estimates rest on estimated propensities or on activities that were never shown?
SELECT policy, estimator, propensities, unsupported FROM current_policy_values
WHERE propensities = 'estimated' OR unsupported > 0 ORDER BY policy, estimator;
