-- Queries that failed for good and were left out, and identical ones that are asked once. See V1 for how to write these.

alter table reward_answer alter column score drop not null;
alter table reward_answer alter column bits drop not null;
-- Why there is no score.
alter table reward_answer add column if not exists dropped varchar(100);
-- Of the part of the reward, the image and the prompt.
alter table reward_answer add column if not exists digest varchar(100) default '' not null;
create index if not exists reward_answer_digest on reward_answer (run_id, digest);
