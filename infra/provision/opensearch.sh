#!/bin/sh
# Provisions a real OpenSearch under DIR/opensearch, so that the suites can be run against it: opensearch.sh DIR
#
# The server and the modules that Muniment's queries need come from Maven as jars, and a launcher of 40 lines
# (OpenSearchMain.java, beside this file) is compiled against them. That needs a JDK of Java 17 or newer and
# mvn. Where these are missing the reason is written to DIR/opensearch/missing, and the suites say that they
# were skipped. DIR/opensearch/{lib,classes} are the server, DIR/opensearch/java leads to the JDK's java.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/opensearch"
folder=$(cd "$1/opensearch" && pwd)
version=2.19.4
log4j=2.21.0
modules="transport-netty4-client analysis-common reindex-client mapper-extras-client lang-painless opensearch-scripting-painless-spi"
stamp="opensearch $version $(cksum <"$here/OpenSearchMain.java")"

give_up() {
    printf '%s\n' "$1" >"$folder/missing"
    echo "No OpenSearch here: $1" >&2
    exit 0
}

if [ "$(cat "$folder/installed" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
rm -rf "$folder/installed" "$folder/missing" "$folder/lib" "$folder/classes" "$folder/pom.xml"

command -v mvn >/dev/null || give_up "its jars come from Maven, and there is no mvn on PATH"
compiler=$(command -v javac) || give_up "there is no JDK: no javac on PATH"
release=$("$compiler" -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$release" -ge 17 ] || give_up "it needs Java 17 or newer, and javac is of Java $release"
ln -sfn "$(dirname "$(readlink -f "$compiler")")/java" "$folder/java"

dependency() {
    printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n' "$@"
}
{
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>muniment</groupId>'
    echo '<artifactId>opensearch</artifactId><version>1</version><dependencies>'
    dependency org.opensearch opensearch "$version"
    for module in $modules; do
        dependency org.opensearch.plugin "$module" "$version"
    done
    dependency org.apache.logging.log4j log4j-core "$log4j"
    echo '</dependencies></project>'
} >"$folder/pom.xml"

cd "$folder"
mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder/lib" \
    >fetch.log 2>&1 </dev/null || give_up "its jars could not be downloaded (see $folder/fetch.log)"
mkdir -p classes
"$compiler" -nowarn -cp "$folder/lib/*" -d classes "$here/OpenSearchMain.java" >compile.log 2>&1 ||
    give_up "its launcher could not be compiled (see $folder/compile.log)"
echo "$stamp" >installed
echo "OpenSearch $version under $folder ($(du -sh lib | cut -f1))"
