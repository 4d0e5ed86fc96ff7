-- 32. How good are the data of each site?
-- Reading: expected forms that are missing; forms filled in late, with one long run of answers, or like the form before; lines that came
--   twice or were held back; sessions coded twice, of those coded; and how far coders agree on the number of codes (ICC(1),
--   Krippendorff's alpha for intervals) and on whether there is any (kappa of Fleiss).
-- Caveats: a long run at the best answer of an alliance form is common and legitimate. Agreement on few sessions scatters; n_double says
--   how many there are.

with site as (
  select distinct site_id from quality.finding
),

forms as (
  select site_id, 1 - sum(received) / nullif(sum(expected), 0) as missing from quality.completeness group by site_id
),

answers as (
  select
    site_id,
    count(*) as n_forms,
    avg((timing = 'late')::integer) as late,
    avg(is_long_run::integer) as long_run,
    avg(copies_previous::integer) as copied
  from marts.response_quality
  group by site_id
),

lines as (
  select
    site_id,
    sum(duplicate) / nullif(sum(lines), 0) as duplicate,
    sum(held_back) / nullif(sum(lines), 0) as held_back
  from quality.receipt
  group by site_id
),

coded as (
  select site_id, count(distinct (client_id, episode_id, session_number)) as n_coded
  from marts.rupture_session
  where basis = 'coding'
  group by site_id
),

agreed as (
  select
    site_id,
    max(n_units) filter (where rule_id = 'alpha_interval') as n_double,
    max(value) filter (where rule_id = 'icc_1') as icc_1,
    max(value) filter (where rule_id = 'alpha_interval') as alpha
  from marts.coder_agreement
  where level = 'all' and measure = 'count' and coder_id is null
  group by site_id
),

present as (
  select site_id, max(value) as kappa
  from marts.coder_agreement
  where level = 'all' and measure = 'presence' and coder_id is null and rule_id = 'kappa_fleiss'
  group by site_id
)

select
  site.site_id,
  answers.n_forms,
  forms.missing,
  answers.late,
  answers.long_run,
  answers.copied,
  lines.duplicate,
  lines.held_back,
  coded.n_coded,
  agreed.n_double,
  agreed.icc_1,
  agreed.alpha,
  present.kappa
from site
left join forms using (site_id)
left join answers using (site_id)
left join lines using (site_id)
left join coded using (site_id)
left join agreed using (site_id)
left join present using (site_id)
order by site.site_id
