"""What a cluster needs beside the workflows: accounts, a runtime, policies, the sweep."""
