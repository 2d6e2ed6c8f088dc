"""What all tests share."""

from hypothesis import settings

# A busy machine is no failure: what Hypothesis tries has no time limit of its own, as the tests have.
settings.register_profile("tailrace", deadline=None)
settings.load_profile("tailrace")
