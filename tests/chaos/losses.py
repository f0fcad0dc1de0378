"""What else goes missing or changes under a run: files, keys, jobs, the state, the config."""

from collections.abc import Iterator

from tests.chaos.faults import ECHO, recover
from tests.chaos.harness import Lab, World
from tests.chaos.rows import Case, lose_state, resume


def losses(lab: Lab) -> Iterator[Case]:
    """What else goes missing: the state after the file was removed or has expired, the key, the job itself."""

    def cleaned_up(world: World) -> None:
        world.run()
        lose_state(world)
        recover(world, exact=False)

    yield Case("file cleaned up, state lost", cleaned_up, ("upload.cleanup=true",))

    def expired(world: World) -> None:
        world.run("run", "run.yaml", "--until", "create_job")
        world.server.files.clear()
        lose_state(world)
        recover(world, exact=False)

    yield Case("file expired, state lost", expired)

    def other_account(world: World) -> None:
        """A key of another account must not buy a second job there."""
        world.server.accounts = {world.env["OPENAI_API_KEY"]: "ours", "sk-other": "theirs", "sk-rotated": "ours"}
        world.run("run", "run.yaml", "--until", "upload")
        ours = world.env["OPENAI_API_KEY"]
        world.env["OPENAI_API_KEY"] = "sk-other"
        refused = world.run()
        if refused.code == 0 or len(world.server.jobs):
            world.bad(f"a key of another account goes on: exit {refused.code}")
        world.env["OPENAI_API_KEY"] = "sk-rotated"
        resume(world, job_posts=1)
        world.env["OPENAI_API_KEY"] = ours

    yield Case("another account's key, then a new key of ours", other_account)

    def other_account_after_loss(world: World) -> None:
        world.server.accounts = {world.env["OPENAI_API_KEY"]: "ours", "sk-other": "theirs"}
        world.run("run", "run.yaml", "--until", "create_job")
        world.server.files.clear()  # cleaned up: the job is the witness that is left
        ours = world.env["OPENAI_API_KEY"]
        world.env["OPENAI_API_KEY"] = "sk-other"
        world.run("run", "run.yaml", "--set=create_job.seed=8", "--new-job")
        if len(world.server.jobs) != 1:
            world.bad("the canary let a key of another account buy a job")
        world.env["OPENAI_API_KEY"] = ours

    yield Case("another account's key once the files are gone", other_account_after_loss)

    def other_account_other_data(world: World) -> None:
        world.server.accounts = {world.env["OPENAI_API_KEY"]: "ours", "sk-other": "theirs"}
        world.run()
        world.env["OPENAI_API_KEY"] = "sk-other"
        ended = world.run("run", "run.yaml", "--set=convert.system_prompt=Hi", "--new-job")
        if ended.code != 2 or len(world.server.posts) != 3:
            world.bad(f"the canary let a key of another account send chats: exit {ended.code}")

    yield Case("another account's key and other data", other_account_other_data)

    def edited(world: World) -> None:
        """A config edit never silently buys a second training."""
        world.run()
        for edit in ("create_job.seed=8", "convert.system_prompt=Hi", "create_job.hyperparameters.n_epochs=3"):
            ended = world.run("run", "run.yaml", f"--set={edit}")
            if ended.code != 3 or len(world.server.jobs) != 1:
                world.bad(f"{edit}: exit {ended.code}, {len(world.server.jobs)} jobs")
        bought = world.run("run", "run.yaml", "--set=create_job.seed=8", "--new-job")
        if bought.code != 0 or len(world.server.jobs) != 2:
            world.bad(f"--new-job: exit {bought.code}, {len(world.server.jobs)} jobs: {bought.err}")

    yield Case("config edits after a job was bought", edited)

    for both in (False, True):

        def lost_and_edited(world: World, both: bool = both) -> None:
            """Nor does one after the state was lost; undone, it finds the job that was bought."""
            world.run()
            for name in ("state.json", "state.json.prev")[: 1 + both]:
                (world.run_dir / name).unlink()
            world.run("repair", "run.yaml")
            edited = world.run("run", "run.yaml", "--set=create_job.seed=8")
            if edited.code != 3 or len(world.server.jobs) != 1:
                world.bad(f"exit {edited.code}, {len(world.server.jobs)} jobs: {edited.err}")
            elif "ftjob-1 was bought already" not in edited.err:
                world.bad(f"the job that is there is not named: {edited.err}")
            resume(world, job_posts=1)

        yield Case(
            f"the config is edited after the state{' and the one before it were' * both or ' was'} lost",
            lost_and_edited,
        )

    def lost_without_a_list(world: World) -> None:
        """A server that cannot be asked: whether something was made is for the user to say, and nothing is bought."""
        world.server.lists = False
        world.run()
        lose_state(world)
        if world.run().code != 3 or len(world.server.posts) != 3:
            world.bad(f"exit {world.ended[-1].code}, POSTs {world.server.posts}")
        recover(world, exact=False)

    yield Case("state lost, and no list to look in", lost_without_a_list)

    def bought_twice_on_purpose(world: World) -> None:
        """A second training of the same data, its state lost: both are found, none is bought."""
        world.run()
        world.run("run", "run.yaml", "--new-job")
        lose_state(world)
        ended = world.run()
        if ended.code != 0 or len(world.server.jobs) != 2 or world.server.posts.count("job.create") != 2:
            world.bad(f"exit {ended.code}, {len(world.server.jobs)} jobs: {ended.err}")
        elif (world.state() or {})["steps"]["create_job"]["output"]["job"] != "ftjob-2":
            world.bad("the older of two jobs was taken for the newer one")

    yield Case("two generations, state lost", bought_twice_on_purpose)

    def failed_and_restarted(world: World) -> None:
        """Some providers restart a failed job under another id."""
        world.run("run", "run.yaml", "--until", "create_job")
        (job,) = world.server.jobs
        job["status"] = "failed"
        world.server.commit_job({**job, "suffix": job["user_provided_suffix"]})
        world.server.cancelled_unstarted.add(job["id"])
        ended = world.run()
        if ended.code != 0 or world.server.posts.count("job.create") != 1:
            world.bad(f"exit {ended.code}: {ended.err}")

    yield Case("a failed job goes on under another id", failed_and_restarted)

    for echo in ("job", "file"):

        def echoes(world: World, echo: str = echo) -> None:
            """The reason that a backend gives may quote a training line."""
            world.run("run", "run.yaml", "--until", "create_job" if echo == "job" else "upload")
            if echo == "job":
                world.server.jobs[0] |= {"status": "failed", "error": {"code": "bad_line", "message": ECHO["message"]}}
            else:
                world.server.files[0] |= {"status": "error", "status_details": ECHO["message"]}
            if world.run().code != 6:
                world.bad("it did not fail")

        yield Case(f"a failed {echo} quotes the chat", echoes)
