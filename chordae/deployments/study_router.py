"""Which replica of an expert is asked about a recording: the same one each time, for it has seen the recording before.

vLLM keeps what it computed of a picture, encoder output and prefix, in the process that computed it. So every question
about one recording goes to one replica, chosen by rendezvous hashing of the media digest; when that one is full or gone
the next by hash serves, and nobody waits for a cache. Questions without a recording go to the less busy of two.

Serve's own `ConsistentHashRouter` does not do: calls made while serving one request share its internal id, by which
that router finds the call to fulfil, so that of several made at once only the first is ever sent. Multiplexed model ids
do not do either: a replica must load and announce each, and forgets all but a few.

Serve pickles this module by value and unpickles it where chordae need not be installed (its controller and proxies): it
imports nothing of the project.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica


def ranked(key: str, replicas: Iterable[str]) -> list[str]:
    """Replicas in the order in which they are responsible for a key: highest random weight first.

    The order is the same in every process. A replica that comes or goes moves only the keys that it is first for.
    Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Trans. Netw. 6 (1998).
    """
    return sorted(
        replicas, key=lambda replica: blake2b(f"{replica}\0{key}".encode(), digest_size=8).digest(), reverse=True
    )


class StudyRouter(RequestRouter):  # type: ignore[misc]
    """Routes by `handle.options(session_id=<media id>)`; the name of a class for `RequestRouterConfig`."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The replicas to try one after the other; Serve passes over those at `max_ongoing_requests`."""
        if pending_request is None or not candidate_replicas:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True  # where all are full, sleep before looking again
        if not pending_request.metadata.session_id:
            return [random.sample(candidate_replicas, min(2, len(candidate_replicas)))]
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        return [[by_name[name]] for name in ranked(pending_request.metadata.session_id, by_name)]

    def _fulfill_next_pending_request(self, replica: RunningReplica, request_metadata: Any = None) -> None:
        """Give the replica to the very call that it was chosen for; Serve's mixins, too, override this.

        By the identity of its metadata: Serve's index is by internal request id, which calls may share.
        """
        for pending in self._pending_requests_to_fulfill:
            if pending.metadata is request_metadata and not pending.future.done():
                self._record_queue_wait_time(pending)
                pending.future.set_result(replica)
                self._remove_pending_request_from_indices(pending)
                return
