/*
  Which kinds of pairs people have judged, and how they judged them. One row per dimension and stratum.

  Dimensions are the slices of model.yml, the category, how alike the titles are, and whether blocking found the pair. A
  stratum with many candidates and few verdicts is one that the model has to guess; one with verdicts of one kind alone
  teaches it nothing. Pairs that people judged and blocking did not find count as labelled; `labelled_share` is that of
  the candidates. Where there are more candidates than training samples, `candidates` is estimated from the sample.

  Reads pair_features, candidate_pairs, sampled_pairs, labelled_pairs, verdicts, clean_deals of a run. Run by
  `bqloop labels`.
*/
WITH disputed AS (
  SELECT
    LEAST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS one_deal,
    GREATEST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS other_deal
  FROM {{ table.labels }}
  WHERE ingested_at <= @as_of
  GROUP BY one_deal, other_deal
  HAVING COUNT(DISTINCT is_duplicate) > 1
),

sliced AS (
  SELECT
    left_key,
    right_key,
    LEAST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS one_deal,
    GREATEST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS other_deal,
    [
      {% for slice, expression in policy.slices.items() %}
      STRUCT('{{ slice }}' AS dimension, CAST({{ expression }} AS STRING) AS stratum),
      {% endfor %}
      STRUCT(
        'title_cosine' AS dimension,
        CASE
          WHEN title_cosine < 0.2 THEN 'below 0.2'
          WHEN title_cosine < 0.4 THEN '0.2 to 0.4'
          WHEN title_cosine < 0.6 THEN '0.4 to 0.6'
          WHEN title_cosine < 0.8 THEN '0.6 to 0.8'
          ELSE 'from 0.8'
        END AS stratum
      )
    ] AS strata
  FROM {{ run_table.pair_features }}
),

pairs AS (
  SELECT
    sliced.strata,
    candidate.left_key IS NOT NULL AS is_candidate,
    sampled.left_key IS NOT NULL AS is_sampled,
    verdict.is_duplicate,
    verdict.is_duplicate IS NOT NULL AS is_labelled,
    placed.split,
    disputed.one_deal IS NOT NULL AS is_disputed,
    CASE
      WHEN left_deal.category IS NULL OR right_deal.category IS NULL THEN '(missing)'
      WHEN left_deal.category = right_deal.category THEN left_deal.category
      ELSE '(two different ones)'
    END AS category
  FROM sliced
  INNER JOIN {{ run_table.clean_deals }} AS left_deal
    ON sliced.left_key = left_deal.deal_key
  INNER JOIN {{ run_table.clean_deals }} AS right_deal
    ON sliced.right_key = right_deal.deal_key
  LEFT JOIN {{ run_table.candidate_pairs }} AS candidate
    ON sliced.left_key = candidate.left_key AND sliced.right_key = candidate.right_key
  LEFT JOIN {{ run_table.sampled_pairs }} AS sampled
    ON sliced.left_key = sampled.left_key AND sliced.right_key = sampled.right_key
  LEFT JOIN {{ run_table.verdicts }} AS verdict
    ON sliced.left_key = verdict.left_key AND sliced.right_key = verdict.right_key
  LEFT JOIN {{ run_table.labelled_pairs }} AS placed
    ON sliced.left_key = placed.left_key AND sliced.right_key = placed.right_key
  LEFT JOIN disputed
    ON sliced.one_deal = disputed.one_deal AND sliced.other_deal = disputed.other_deal
),

counted AS (
  SELECT
    layer.dimension,
    layer.stratum,
    COUNTIF(pairs.is_sampled) AS sampled,
    COUNTIF(pairs.is_candidate AND pairs.is_labelled) AS labelled_candidates,
    COUNTIF(pairs.is_labelled) AS labelled,
    COUNTIF(pairs.is_duplicate) AS duplicates,
    COUNTIF(pairs.is_disputed) AS disputed,
    COUNTIF(pairs.split = 'train') AS train,
    COUNTIF(pairs.split = 'validation') AS validation,
    COUNTIF(pairs.split = 'test') AS test,
    COUNTIF(pairs.is_labelled AND pairs.split IS NULL) AS left_out
  FROM pairs
  CROSS JOIN UNNEST(ARRAY_CONCAT(
    [
      STRUCT('all' AS dimension, 'all' AS stratum),
      STRUCT(
        'blocking' AS dimension,
        IF(pairs.is_candidate, 'found', 'not found') AS stratum
      ),
      STRUCT('category' AS dimension, pairs.category AS stratum)
    ],
    pairs.strata
  )) AS layer
  WHERE pairs.is_sampled OR pairs.is_labelled
  GROUP BY layer.dimension, layer.stratum
),

estimated AS (
  SELECT
    dimension,
    stratum,
    GREATEST(CAST(sampled * in_all.per_sampled AS INT64), labelled_candidates) AS candidates,
    counted.* EXCEPT (dimension, stratum, sampled)
  FROM counted
  CROSS JOIN (
    SELECT SAFE_DIVIDE((SELECT COUNT(*) FROM {{ run_table.candidate_pairs }}), COUNT(*)) AS per_sampled
    FROM {{ run_table.sampled_pairs }}
  ) AS in_all
)

SELECT
  * EXCEPT (labelled_candidates),
  SAFE_DIVIDE(labelled_candidates, candidates) AS labelled_share,
  SAFE_DIVIDE(duplicates, labelled) AS duplicate_share
FROM estimated
ORDER BY dimension = 'all' DESC, dimension, candidates DESC, stratum
