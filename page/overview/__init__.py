"""What the overview shows: figures of the case store, quality from the lake, who judges, the watcher, the parts' health."""
