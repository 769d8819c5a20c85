"""Fetches jars with Spark's own resolver, in a process of its own: `python -m stack.resolve IVY_FOLDER COORDINATE...`."""

import sys

from pyspark.java_gateway import launch_gateway


def main(ivy_folder: str, *coordinates: str) -> None:
    """Prints the path of each jar. Exactly the coordinates are fetched, not what they depend on."""
    jvm = launch_gateway().jvm  # type: ignore[no-untyped-call]
    maven = getattr(jvm.org.apache.spark.util, "MavenUtils$").__getattr__("MODULE$")
    nothing = getattr(jvm.scala.collection.immutable, "Nil$").__getattr__("MODULE$")
    option, log = jvm.scala.Option.apply, jvm.java.lang.System.err
    settings = maven.buildIvySettings(option(None), option(ivy_folder), False, log)
    jars = maven.resolveMavenCoordinates(",".join(coordinates), settings, option(None), False, nothing, False, log)
    for index in range(jars.size()):
        print(jars.apply(index))


if __name__ == "__main__":
    main(*sys.argv[1:])
