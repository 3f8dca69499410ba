"""Do the bytes on disk agree with the published ratios?"""
