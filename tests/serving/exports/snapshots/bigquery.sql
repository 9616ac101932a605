CREATE TABLE IF NOT EXISTS `shop`.`marketing`.`audiences` (
  `run_id` STRING NOT NULL,
  `as_of` DATE NOT NULL,
  `activity_id` STRING NOT NULL,
  `rank` INT64 NOT NULL,
  `user_id` STRING NOT NULL,
  `score` FLOAT64 NOT NULL,
  `probability` FLOAT64,
  `model` STRING NOT NULL
);

DROP TABLE IF EXISTS `shop`.`marketing`.`audiences_staging`;

CREATE TABLE `shop`.`marketing`.`audiences_staging` (
  `run_id` STRING NOT NULL,
  `as_of` DATE NOT NULL,
  `activity_id` STRING NOT NULL,
  `rank` INT64 NOT NULL,
  `user_id` STRING NOT NULL,
  `score` FLOAT64 NOT NULL,
  `probability` FLOAT64,
  `model` STRING NOT NULL
);

LOAD DATA INTO `shop`.`marketing`.`audiences_staging` FROM FILES (format = 'PARQUET', uris = ['gs://shop/activities/20240501T120000000000/audiences/*.parquet']);

BEGIN TRANSACTION;

MERGE INTO `shop`.`marketing`.`audiences` USING `shop`.`marketing`.`audiences_staging` AS s ON `audiences`.`activity_id` = s.`activity_id` AND `audiences`.`user_id` = s.`user_id`
WHEN MATCHED THEN UPDATE SET `run_id` = s.`run_id`, `as_of` = s.`as_of`, `rank` = s.`rank`, `score` = s.`score`, `probability` = s.`probability`, `model` = s.`model`
WHEN NOT MATCHED THEN INSERT (`run_id`, `as_of`, `activity_id`, `rank`, `user_id`, `score`, `probability`, `model`) VALUES (s.`run_id`, s.`as_of`, s.`activity_id`, s.`rank`, s.`user_id`, s.`score`, s.`probability`, s.`model`);

DELETE FROM `shop`.`marketing`.`audiences` WHERE NOT EXISTS (SELECT 1 FROM `shop`.`marketing`.`audiences_staging` AS s WHERE `audiences`.`activity_id` = s.`activity_id` AND `audiences`.`user_id` = s.`user_id`);

COMMIT TRANSACTION;

DROP TABLE `shop`.`marketing`.`audiences_staging`;
