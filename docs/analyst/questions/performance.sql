-- What share of what we recommended was answered, beside what was shown without being recommended?
SELECT attribution, closed, responses, response_rate, low, high FROM current_performance
WHERE slice = 'all' ORDER BY attribution;

-- Do the first places of lists keep their promise?
SELECT int(slice_value) AS rank, closed, response_rate, promised_rate, calibration_ratio
FROM current_performance WHERE slice = 'rank' AND attribution = 'recommended' ORDER BY rank;

-- Which activities are answered best where they are recommended?
SELECT p.slice_value AS activity_id, a.name, p.response_rate, p.closed
FROM current_performance p LEFT JOIN activities a ON a.activity_id = p.slice_value
WHERE p.slice = 'activity' AND p.attribution = 'recommended' ORDER BY p.response_rate DESC;

-- For which activities do recommended users answer more than others who were shown them?
SELECT r.slice_value AS activity_id, round(r.response_rate / o.response_rate, 2) AS times_as_often
FROM current_performance r JOIN current_performance o USING (slice, slice_value)
WHERE r.slice = 'activity' AND r.attribution = 'recommended' AND o.attribution = 'not_recommended'
ORDER BY times_as_often DESC;

-- Which model version did better?
SELECT slice_value AS model, closed, response_rate, calibration_ratio FROM performance
WHERE slice = 'model' AND attribution = 'recommended' ORDER BY response_rate DESC;

-- Which reasons come with many answers?
SELECT slice_value AS reason, closed, response_rate FROM current_performance
WHERE slice = 'reason' AND attribution = 'recommended' ORDER BY response_rate DESC;

-- How did response rates move from day to day?
SELECT slice_value AS day, attribution, exposures, response_rate FROM current_performance
WHERE slice = 'day' ORDER BY day, attribution;

-- How many exposures are too young to be judged?
SELECT attribution, open, exposures, round(open / exposures, 3) AS share_open
FROM current_performance WHERE slice = 'all' ORDER BY attribution;

-- Does exploring cost answers?
SELECT slice_value AS propensity_band, closed, response_rate FROM current_performance
WHERE slice = 'propensity_band' ORDER BY propensity_band;

-- Has the promise become better since the last look?
SELECT as_of, promised_rate, response_rate, calibration_ratio, calibration_low, calibration_high
FROM performance WHERE slice = 'all' AND attribution = 'recommended' ORDER BY as_of;
