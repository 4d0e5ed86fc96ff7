-- intermediate.alliance_level: means of the alliance of clients, therapists and sites
-- grain: site_id, therapist_id, rater, instrument, version, occasion, scale
-- scope: site
-- A therapist's mean is that of the means of the clients (with this therapist), a site's that of its therapists' means: so
-- who is rated more often does not weigh more. Ratings without a known therapist are in neither.

with client as (
  select
    site_id,
    therapist_id,
    client_id,
    episode_id,
    rater,
    instrument,
    version,
    occasion,
    scale,
    sum(exact_score)::double / count(*) as client_mean
  from intermediate.rating
  where score is not null and therapist_id is not null
  group by site_id, therapist_id, client_id, episode_id, rater, instrument, version, occasion, scale
),

therapist as (
  select
    site_id,
    therapist_id,
    rater,
    instrument,
    version,
    occasion,
    scale,
    count(*)::integer as n_clients,
    avg(client_mean order by client_id, episode_id) as therapist_mean
  from client
  group by site_id, therapist_id, rater, instrument, version, occasion, scale
),

site as (
  select
    site_id,
    rater,
    instrument,
    version,
    occasion,
    scale,
    count(*)::integer as n_therapists,
    avg(therapist_mean order by therapist_id) as site_mean
  from therapist
  group by site_id, rater, instrument, version, occasion, scale
)

select therapist.*, site.n_therapists, site.site_mean
from therapist
inner join site using (site_id, rater, instrument, version, occasion, scale)
