CREATE TABLE IF NOT EXISTS "marketing"."audiences" (
  "run_id" VARCHAR(1024) NOT NULL,
  "as_of" DATE NOT NULL,
  "activity_id" VARCHAR(1024) NOT NULL,
  "rank" INTEGER NOT NULL,
  "user_id" VARCHAR(1024) NOT NULL,
  "score" DOUBLE PRECISION NOT NULL,
  "probability" DOUBLE PRECISION,
  "model" VARCHAR(1024) NOT NULL
);

DROP TABLE IF EXISTS "marketing"."audiences_staging";

CREATE TABLE "marketing"."audiences_staging" (
  "run_id" VARCHAR(1024) NOT NULL,
  "as_of" DATE NOT NULL,
  "activity_id" VARCHAR(1024) NOT NULL,
  "rank" INTEGER NOT NULL,
  "user_id" VARCHAR(1024) NOT NULL,
  "score" DOUBLE PRECISION NOT NULL,
  "probability" DOUBLE PRECISION,
  "model" VARCHAR(1024) NOT NULL
);

COPY "marketing"."audiences_staging" FROM 's3://shop/activities/20240501T120000000000/audiences/part-' IAM_ROLE 'arn:aws:iam::123456789012:role/load' FORMAT AS PARQUET;

BEGIN;

MERGE INTO "marketing"."audiences" USING "marketing"."audiences_staging" AS s ON "audiences"."activity_id" = s."activity_id" AND "audiences"."user_id" = s."user_id"
WHEN MATCHED THEN UPDATE SET "run_id" = s."run_id", "as_of" = s."as_of", "rank" = s."rank", "score" = s."score", "probability" = s."probability", "model" = s."model"
WHEN NOT MATCHED THEN INSERT ("run_id", "as_of", "activity_id", "rank", "user_id", "score", "probability", "model") VALUES (s."run_id", s."as_of", s."activity_id", s."rank", s."user_id", s."score", s."probability", s."model");

DELETE FROM "marketing"."audiences" WHERE NOT EXISTS (SELECT 1 FROM "marketing"."audiences_staging" AS s WHERE "audiences"."activity_id" = s."activity_id" AND "audiences"."user_id" = s."user_id");

COMMIT;

DROP TABLE "marketing"."audiences_staging";
