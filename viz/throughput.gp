# Throughput against ranks: ideal, single runs, medians with intervals.
XLABEL = RANKS.(LOG ? " (log scale)" : "")
YLABEL = "throughput (".UNIT.")".(LOG ? ", log scale" : "")
eval SHOW_NAMES
if (LOG) {
    set logscale x 2
    set logscale y
} else {
    set yrange [0:*]
}
set xrange [XMIN:XMAX]
eval "set xtics (".XTICS.")"
if (SHADE_FROM > 0 && !DUMB) {
    set object 93 rectangle from SHADE_FROM, graph 0 to graph 1, graph 1 behind fc rgb SHADE \
        fs solid noborder
    set label 93 "ranks share cores" at graph 0.985, graph 0.03 right font ",11" tc rgb GREY
}
beside(ranks) = LOG ? 1.03 * ranks : ranks + 0.012 * XMAX
rate(k) = column(k) / SCALE
lines = "plot DATA index 'ideal' using 2:(rate(3)) with lines ls 3 title 'ideal'"
do for [i = 1:|SERIES|] {
    name = SERIES[i]
    style = name eq "measured" ? 1 : 2
    bars = name eq "measured" ? INTERVALS : 0
    if (!DUMB && name eq "measured" && REPEATS > 1) {
        lines = lines.", DATA index 'runs measured' using (beside($2)):(rate(3))".\
            " with points ls 4 notitle"
    }
    lines = lines.sprintf(", DATA index '%s' using 2:(rate(3))", name).\
        (!DUMB && bars ? ":(rate(4)):(rate(5)) with yerrorlines" : " with linespoints")
    lines = lines.sprintf(" ls %d title '%s'", style, name)
}
eval lines
