"""`make drill`: everything but the bucket is lost in the middle of writes, and the stack is rebuilt and compared."""
