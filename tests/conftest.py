"""What holds for all tests: a property fails for what was changed, not for luck or a busy machine.

`make test` draws the same examples each time; `make soak` draws new ones with the profile `explore`
(`pytest -m hypothesis --hypothesis-profile explore`), and what it finds becomes an `@example`.
"""

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("same")
