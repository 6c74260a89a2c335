"""The emulated services as one: finds the route of a call, asks the gateway, runs the handler.

It is the core that both fronts share, and knows nothing of a network.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from inspect import isawaitable
from typing import Any

from .._jobs.job_table import JobTable
from .._jobs.ledger import Ledger, Request
from .._protocol.answers import Answer, Refused, throttled
from .._protocol.bodies import read_body
from .._protocol.callers import Gate
from .._protocol.calls import Call, Guard, Route, Router, not_emulated, read_arguments
from .._protocol.visitors import Visitors
from ..faults import Faults
from .delivery import Delivery, How, stand_in


class Service:
    """Everything between a request and its answer, without a network."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        clock: Callable[[], float],
        visitors: Visitors,
        gate: Gate,
        jobs: JobTable,
        ledger: Ledger,
        faults: Faults,
        names_of: Callable[[Call], tuple[str, ...]],
        prepare: Callable[[], Awaitable[object] | None],
        seed: int,
    ) -> None:
        self._router = Router(routes)
        self._clock = clock
        self._visitors = visitors
        self._gate = gate
        self._jobs = jobs
        self._ledger = ledger
        self._faults = faults
        self._names_of = names_of
        self._prepare = prepare
        self._random = random.Random(f"{seed}:requests")

    async def serve(self, call: Call) -> Delivery:
        """Answers a call, or says how it is left without an answer."""
        refusal = await self._at_the_door(call)
        call.now = self._clock()
        call.request_id = f"{self._random.getrandbits(128):032x}"
        if refusal is not None:
            return self._sealed(Delivery(refusal), call)
        found = self._router.find(call.method, call.path)
        if found is not None:
            call.route, call.params = found[0].name, found[1]
        if found is not None and found[0].guard is Guard.ADMIN:
            delivery = Delivery(await self._run(found[0], call))
        else:
            delivery = await self._serve_counted(found[0] if found else None, call)
        return self._sealed(delivery, call)

    async def _at_the_door(self, call: Call) -> Answer | None:
        """Looks at who calls, and only then reads what is sent; the answer of a call that ends."""
        try:
            self._visitors.admit(call)
            if call.pieces is not None:
                call.body = await read_body(call.headers.get("content-length"), call.pieces)
        except Refused as refused:
            return refused.answer
        return None

    async def _serve_counted(self, route: Route | None, call: Call) -> Delivery:
        job_id = call.params.get("job")
        self._ledger.arrived(Request(call.now, call.route, call.request_id, job_id))
        try:
            if route is None:
                known = [str(route) for route in self._router.routes]
                return Delivery(not_emulated(f"{call.method} {call.path}", known))
            return await self._serve_faulted(route, call)
        finally:
            self._ledger.left()

    async def _serve_faulted(self, route: Route, call: Call) -> Delivery:
        if not self._faults.active:
            return Delivery((await self._guarded(route, call))[0])
        call.subject = self._names_of(call)
        if limit := self._faults.throttle(call):
            return Delivery(throttled(f"limit:{limit.word.number},time:1 second"))
        fault = self._faults.answer(call, "before")
        spread = 0.0
        if fault is not None and fault.word.kind == "slow-headers":
            await call.pause(fault.word.number)
            if call.is_gone():
                return Delivery(Answer(), How.RESET)
            call.now = self._clock()
        elif fault is not None and fault.word.kind == "slow-body":
            spread = fault.word.number
        elif fault is not None:
            return stand_in(fault, None, call.now)
        answer, handled = await self._guarded(route, call)
        delivery = await self._after(call, answer) if handled else Delivery(answer)
        delivery.spread = delivery.spread or spread
        return delivery

    async def _after(self, call: Call, answer: Answer) -> Delivery:
        if self._faults.state("string-booleans", call):
            answer.content = _with_text_booleans(answer.content)
        if self._faults.state("broken-message", call):
            answer.raw = _with_broken_message(answer)
        fault = self._faults.answer(call, "after")
        if fault is None:
            return Delivery(answer)
        if fault.word.kind == "slow-headers":
            await call.pause(fault.word.number)
            return Delivery(answer)
        return stand_in(fault, answer, call.now)

    async def _guarded(self, route: Route, call: Call) -> tuple[Answer, bool]:
        """The answer, and whether the handler was reached."""
        if route.guard is not Guard.NOBODY:
            try:
                self._gate.admit(call, route.guard)
            except Refused as refused:
                return refused.answer, False
        return await self._run(route, call), True

    async def _run(self, route: Route, call: Call) -> Answer:
        if route.guard is Guard.DLI:
            waiting = self._prepare()
            if waiting is not None:
                await waiting
        self._jobs.advance(call.now)
        try:
            call.arguments = read_arguments(call, route.arguments)
            answer = route.handler(call)
            return await answer if isawaitable(answer) else answer
        except Refused as refused:
            return refused.answer

    def _sealed(self, delivery: Delivery, call: Call) -> Delivery:
        answer = delivery.answer
        if isinstance(answer.content, dict) and "request_id" in answer.content:
            answer.content["request_id"] = call.request_id
        delivery.headers = (
            ("content-type", answer.media),
            ("content-length", str(len(answer.body()))),
            ("date", formatdate(call.now, usegmt=True)),
            ("x-request-id", call.request_id),
            *((name.lower(), value) for name, value in answer.headers.items()),
        )
        return delivery


def _with_text_booleans(content: Any) -> Any:
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, dict):
        return {name: _with_text_booleans(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_with_text_booleans(item) for item in content]
    return content


def _with_broken_message(answer: Answer) -> bytes | None:
    # The documents' own sample does this (dli_02_0021).
    if not isinstance(answer.content, dict) or "message" not in answer.content:
        return answer.raw
    text = json.dumps({**answer.content, "message": "@broken@"}, ensure_ascii=False)
    return text.replace("@broken@", '{"error_code":"DLI.0999"}').encode()
