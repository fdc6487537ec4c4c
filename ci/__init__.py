"""What continuous integration says about a change: `pulumi preview --json` -> a comment with costs and risks."""
