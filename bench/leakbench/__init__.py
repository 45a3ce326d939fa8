"""LeakBench: known leaks are planted into real rows; which tool notices?"""
