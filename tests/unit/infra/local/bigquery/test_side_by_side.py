"""Jobs that change the catalog at the same time."""

from concurrent.futures import ThreadPoolExecutor

from google.cloud import bigquery


def test_tables_made_side_by_side_do_not_lose_each_other(client: bigquery.Client) -> None:
    def make(number: int) -> int:
        for turn in range(8):
            name = f"d.beside_{number}_{turn}"
            client.query(f"CREATE OR REPLACE TABLE {name} AS SELECT {turn} AS x", job_retry=None).result()
            assert client.get_table(f"{client.project}.{name}").num_rows == 1
        return number

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(make, range(6))) == list(range(6))
