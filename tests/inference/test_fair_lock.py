import threading

from pipeline.inference.batching import FairLock


def test_turns_are_given_in_the_order_they_were_asked_for() -> None:
    lock, order, threads = FairLock(), [], []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    with lock:
        for number in range(5):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            while len(lock._waiting) <= number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_only_one_holds_it_and_a_failure_gives_it_back() -> None:
    lock, inside, seen, threads = FairLock(), [0], [], []

    def work() -> None:
        for _ in range(200):
            try:
                with lock:
                    inside[0] += 1
                    seen.append(inside[0])
                    inside[0] -= 1
                    raise ValueError
            except ValueError:
                pass

    for _ in range(4):
        threads.append(threading.Thread(target=work))
        threads[-1].start()
    for thread in threads:
        thread.join(10)
    assert seen == [1] * 800
