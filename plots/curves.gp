# gnuplot -e "csv='curves.csv'; machine='ivybridge40'; out='curves-ivybridge40'" plots/curves.gp
# All curves of one machine on a page: operations per second over CPUs, a line per scheme (scripts/curves.sh).
set encoding utf8
set datafile separator ','
curves = 'pft page_fault1 page_fault1-own page_fault1-4m mmap1 ebizzy multi_fault gc_heap gc_heap-flips'
titles = '"pft: one VMA" "page_fault1: VMAs merge" "page_fault1: a VMA per thread" "page_fault1, 4 MiB: and mmap, munmap" "mmap1: VMAs merge" "ebizzy: VMAs merge" "multi_fault: one VMA" "gc_heap: flips and faults" "gc_heap: flips only"'
schemes = 'mmap_lock range_full range range_list vma_refcnt spf'
set linetype 1 linecolor '#000000' linewidth 2 pointtype 7 pointsize 0.9
set linetype 2 linecolor '#E69F00' linewidth 2 pointtype 5 pointsize 0.9
set linetype 3 linecolor '#009E73' linewidth 2 pointtype 9 pointsize 1.1
set linetype 4 linecolor '#CC79A7' linewidth 2 pointtype 11 pointsize 1.1
set linetype 5 linecolor '#0072B2' linewidth 2 pointtype 13 pointsize 1.1
set linetype 6 linecolor '#D55E00' linewidth 2 pointtype 4 pointsize 1.1
set border 3 linecolor '#606060'
set tics nomirror
set grid ytics linecolor '#d8d8d8' linewidth 1 dashtype solid
set logscale xy 2
set logscale y 10
set format y '%.0s%c'
if (machine eq 'ivybridge40') { set xtics (1, 2, 4, 10, 20, 40) }
if (machine eq 'skylake192') { set xtics (1, 4, 24, 96, 192) }
set xrange [0.8:*]
rows(curve, scheme) = sprintf("< awk -F, '$1 == \"%s\" && $2 == \"%s\" && $3 == \"%s\" && $5 > 0' '%s'", curve, machine, scheme, csv)
do for [kind in 'png svg'] {
	if (kind eq 'png') {
		set terminal pngcairo noenhanced size 1000,840 font 'DejaVu Sans,9'
	} else {
		set terminal svg noenhanced size 1000,840 font 'DejaVu Sans,11' background 'white'
	}
	set output out.'.'.kind
	set multiplot layout 3,3 title machine.': operations per second over CPUs (virtual time)' \
		font ',14' margins 0.06, 0.98, 0.10, 0.92 spacing 0.06, 0.08
	do for [c = 1:9] {
		set title word(titles, c)
		if (int(system("grep -c '^".word(curves, c).','.machine.",' '".csv."'")) == 0) { continue }
		if (c == 8) { set key at screen 0.5, 0.035 center horizontal maxrows 1 samplen 2 } else { unset key }
		plot for [s = 1:6] rows(word(curves, c), word(schemes, s)) using 4:5 with linespoints \
			linetype s title word(schemes, s)
	}
	unset multiplot
	set output
}
